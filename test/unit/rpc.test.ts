import assert from "node:assert/strict";
import { MessageChannel } from "node:worker_threads";
import { createRpc, nodePort, type Port, type Rpc, type RpcOptions } from "../../src/rpc";

interface Kitchen {
  cook(dish: string, times: number): Promise<string>;
  fail(kind: "now" | "later"): Promise<string>;
  never(): Promise<string>;
  ring(count: number): void;
}

interface Guest {
  taste(dish: string): string;
}

describe("rpc", () => {
  const channels: MessageChannel[] = [];
  afterEach(() => channels.splice(0).forEach(({ port1 }) => port1.close()));

  function connect(options: RpcOptions = {}): {
    guest: Rpc<Kitchen>;
    kitchen: Rpc<Guest>;
    rung: Promise<number>;
    ports: { guest: Port; kitchen: Port };
  } {
    const channel = new MessageChannel();
    channels.push(channel);
    const ports = { guest: nodePort(channel.port1), kitchen: nodePort(channel.port2) };
    let ring: (count: number) => void = () => {};
    const rung = new Promise<number>((resolve) => (ring = resolve));
    const guest = createRpc<Kitchen, Guest>(ports.guest, { taste: (dish) => `${dish} is good` });
    const kitchen: Rpc<Guest> = createRpc<Guest, Kitchen>(
      ports.kitchen,
      {
        cook: async (dish, times) => `${await kitchen.request("taste", dish)} ×${String(times)}`,
        fail: (kind) => {
          if (kind === "now") throw new Error("burnt");
          return Promise.reject(new TypeError("burnt later"));
        },
        never: () => new Promise(() => {}),
        ring: (count) => ring(count),
      },
      options,
    );
    return { guest, kitchen, rung, ports };
  }

  it("answers requests in both directions, also within each other", async () => {
    const { guest } = connect();
    const answers = await Promise.all([guest.request("cook", "soup", 1), guest.request("cook", "pie", 2)]);
    assert.deepEqual(answers, ["soup is good ×1", "pie is good ×2"]);
  });

  it("delivers events without an answer", async () => {
    const { guest, rung } = connect();
    guest.event("ring", 3);
    assert.equal(await rung, 3);
  });

  it("rejects with the message of what a handler throws, and nothing else of it", async () => {
    const { guest } = connect();
    for (const [kind, message] of [
      ["now", "burnt"],
      ["later", "burnt later"],
    ] as const) {
      const error: unknown = await guest.request("fail", kind).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof Error);
      assert.equal(error.constructor, Error);
      assert.equal(error.message, message);
    }
  });

  it("rejects what is pending when it is disposed, and everything after", async () => {
    const { guest } = connect();
    const pending = guest.request("never");
    guest.dispose("gone home");
    await assert.rejects(pending, { message: "gone home" });
    await assert.rejects(guest.request("cook", "soup", 1), { message: "gone home" });
    guest.event("ring", 1);
  });

  it("answers nothing once disposed", async () => {
    const { guest, kitchen, ports } = connect();
    kitchen.dispose();
    const first = guest.request("cook", "soup", 1);
    // The channel keeps its order: when this arrives, the request before it was seen and left alone.
    const seen = new Promise<void>((resolve) => {
      const stop = ports.kitchen.onMessage((message) => {
        if (message !== "last") return;
        stop();
        resolve();
      });
    });
    ports.guest.postMessage("last");
    await seen;
    const late = await Promise.race([first, Promise.resolve("no answer")]);
    assert.equal(late, "no answer");
    guest.dispose();
    await assert.rejects(first);
  });

  it("runs own methods only, never inherited ones", async () => {
    const { guest } = connect();
    const open = guest as unknown as Rpc<Record<string, () => Promise<unknown>>>;
    for (const name of ["toString", "constructor", "__proto__", "unknown"])
      await assert.rejects(open.request(name), /There is no/, name);
  });

  it("drops calls whose arguments are refused, tells its own side and rejects the other", async () => {
    const errors: string[] = [];
    const { guest, rung } = connect({
      accept: (_method, args) => args.every((argument) => argument !== "poison" && argument !== -1),
      onError: (message) => errors.push(message),
    });
    await assert.rejects(guest.request("cook", "poison", 1), /wrong arguments/);
    guest.event("ring", -1);
    guest.event("ring", 7);
    assert.equal(await rung, 7);
    assert.deepEqual(errors.length, 2);
  });

  it("is not disturbed by foreign messages", async () => {
    const { guest, ports } = connect();
    const foreign = [null, 5, "text", [], {}, { rpc: "request" }, { rpc: "reply", id: "x" }, { rpc: "error", id: 999 }];
    for (const message of [...foreign, { rpc: "reply", id: 999, value: 1 }]) {
      ports.guest.postMessage(message);
      ports.kitchen.postMessage(message);
    }
    assert.equal(await guest.request("cook", "soup", 1), "soup is good ×1");
  });

  it("rejects a request that cannot be cloned and stays usable", async () => {
    const { guest } = connect();
    await assert.rejects(guest.request("cook", (() => {}) as unknown as string, 1));
    assert.equal(await guest.request("cook", "soup", 1), "soup is good ×1");
  });
});
