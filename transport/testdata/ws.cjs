// Two users on the npm package ws, a WebSocket client that shares no code with the
// server. CALLBOARD_WS_MODULE is the package's folder; the argument is ws://host:port.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const WebSocket = require(process.env.CALLBOARD_WS_MODULE);

const server = process.argv[2];

async function connect(user) {
  const ws = new WebSocket(`${server}/ws/${user}`);
  await once(ws, "open");
  assert.equal(ws.extensions, "", "no extension was asked for");
  return ws;
}

async function message(ws) {
  const [data, isBinary] = await once(ws, "message");
  assert.equal(isBinary, false);
  return JSON.parse(data.toString());
}

async function main() {
  const one = await connect("1");
  const two = await connect("2");

  for (const content of ["hello i am ws1", "grüße, 你好, \u{1F3AD}\u0000\"\\", "x".repeat(60000)]) {
    const arrived = message(two);
    one.send(JSON.stringify({ type: 1, content, receiver: 2, send: 1 }));
    const m = await arrived;
    assert.deepEqual([m.type, m.sender, m.receiver, m.content], [2, 1, 2, content]);
  }
  console.log("messages ok");

  const pong = once(one, "pong");
  one.ping("are you there?");
  assert.equal((await pong)[0].toString(), "are you there?");
  console.log("ping ok");

  const refused = message(one);
  one.send("{");
  assert.deepEqual([(await refused).type, (await refused).code], [6, "invalid_message"]);
  console.log("error ok");

  const closed = once(one, "close");
  one.close(1000, "bye");
  assert.equal((await closed)[0], 1000);

  const told = once(two, "close");
  two.send(JSON.stringify({ type: 3 }));
  assert.equal((await told)[0], 1000);
  console.log("close ok");
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
