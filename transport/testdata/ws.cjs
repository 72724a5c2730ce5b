// Users on the npm package ws, a WebSocket client that shares no code with the
// server, in the seed's dialect and in version 1. CALLBOARD_WS_MODULE is the package's folder; the argument is ws://host:port.
"use strict";

const assert = require("node:assert/strict");
const { once } = require("node:events");
const WebSocket = require(process.env.CALLBOARD_WS_MODULE);

const server = process.argv[2];

async function connect(user, subprotocols = []) {
  const ws = new WebSocket(`${server}/ws/${user}`, subprotocols);
  ws.came = [];
  ws.waits = [];
  ws.on("message", (data, isBinary) => {
    const m = { data, isBinary };
    const wait = ws.waits.shift();
    wait ? wait(m) : ws.came.push(m);
  });
  await once(ws, "open");
  assert.equal(ws.protocol, subprotocols[0] ?? "");
  assert.equal(ws.extensions, "", "no extension was asked for");
  return ws;
}

// message is the next message, also if it has come already.
async function message(ws) {
  const m = await (ws.came.shift() ?? new Promise((resolve) => ws.waits.push(resolve)));
  assert.equal(m.isBinary, false);
  return JSON.parse(m.data.toString());
}

// receive is the next message and acknowledges it.
async function receive(ws) {
  const m = await message(ws);
  assert.equal(m.type, 2);
  ws.send(JSON.stringify({ type: 5, seq: m.seq }));
  return m;
}

async function version1() {
  const hello = { type: 0, device: "browser", window: 1 };
  const alice = await connect("alice", ["callboard.v1.json", "callboard.v1.proto"]);
  let welcome = message(alice);
  alice.send(JSON.stringify({ type: 0 }));
  assert.deepEqual([(await welcome).type, (await welcome).user, (await welcome).cursor], [0, "alice", 0]);

  for (const [id, seq] of [["m-1", 1], ["m-2", 2], ["m-1", 1]]) {
    const sent = message(alice);
    alice.send(JSON.stringify({ type: 1, id, receiver: "bob", content: `grüße ${id}` }));
    assert.deepEqual([(await sent).type, (await sent).id, (await sent).seq], [4, id, seq]);
  }

  let cursor;
  for (const seq of [1, 2]) {
    const bob = await connect("bob", ["callboard.v1.json"]);
    welcome = message(bob);
    bob.send(JSON.stringify({ ...hello, cursor }));
    assert.deepEqual([(await welcome).cursor, (await welcome).head], [seq - 1, 2]);
    const m = await receive(bob);
    assert.deepEqual([m.seq, m.id, m.sender, m.content], [seq, `m-${seq}`, "alice", `grüße m-${seq}`]);
    cursor = m.seq;
    bob.close(1000);
    await once(bob, "close");
  }
  alice.close(1000);
  console.log("version 1 ok");
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

  await version1();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
