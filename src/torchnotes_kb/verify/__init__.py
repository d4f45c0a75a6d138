"""Expectation and run to verdict; the ledger of proofs."""
