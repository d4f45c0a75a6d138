"""What runs inside the sandbox, or on its threshold, under any Python from 3.9 on.

Standard library only: nothing here may import the rest of the package, which the sandbox does
not contain. The directory is bound read-only into every sandbox as `/kb/inside`.
"""
