// A client in another language: the TypeScript SDK, both generations, over stdio and HTTP.
// Usage: node client.mjs MODULES_DIR COMMAND URL
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

const [modules, command, url] = process.argv.slice(2);
const require = createRequire(`${modules}/anchor.js`);
const load = (name) => import(pathToFileURL(require.resolve(name)));

async function exercise(label, client, transport) {
  await client.connect(transport);
  const { tools } = await client.listTools();
  assert.deepEqual(tools.map((tool) => tool.name), [
    "search_notes", "explain_error", "get_note", "verify_snippet", "list_topics",
  ]);
  const found = await client.callTool({ name: "search_notes", arguments: { query: "broken pipe" } });
  assert.equal(found.structuredContent.hits[0].note_id, "broken-pipe-num-workers");
  const unknown = await client.callTool({ name: "get_note", arguments: { id: "broken-pipe" } });
  assert.equal(unknown.isError, true);
  assert.match(unknown.content[0].text, /no note 'broken-pipe'.*search_notes/);
  const run = await client.callTool({
    name: "verify_snippet",
    arguments: { code: "import torch\nprint(torch.ones(2).sum())", expect: "prints tensor(2.)" },
  });
  assert.equal(run.structuredContent.verdict, "proven");
  const note = await client.readResource({ uri: "note://broken-pipe-num-workers/zh" });
  assert.match(note.contents[0].text, /^# /);
  await client.close();
  console.log(`ok ${label}`);
}

const info = { name: "conformance", version: "1" };
const one = await load("@modelcontextprotocol/sdk/client/index.js");
const oneStdio = await load("@modelcontextprotocol/sdk/client/stdio.js");
const oneHttp = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
await exercise("TypeScript SDK 1, stdio", new one.Client(info),
  new oneStdio.StdioClientTransport({ command, args: ["serve"], env: process.env }));
await exercise("TypeScript SDK 1, HTTP", new one.Client(info),
  new oneHttp.StreamableHTTPClientTransport(new URL(url)));

const two = await load("@modelcontextprotocol/client");
for (const mode of ["legacy", "auto"]) {
  await exercise(`TypeScript SDK 2, HTTP, ${mode}`,
    new two.Client(info, { versionNegotiation: { mode } }),
    new two.StreamableHTTPClientTransport(new URL(url)));
}
