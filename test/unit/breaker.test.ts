import assert from "node:assert/strict";
import { Breaker } from "../../src/mail/breaker";

/** Plays settled messages: `a` accepted, `r` refused, `c` for its content, `u` without a reply; the reasons to pause, with their place. */
function play(settled: string, pauseAfter = 5): readonly string[] {
  const breaker = new Breaker(pauseAfter);
  return Array.from(settled).flatMap((one, index) => {
    if (one === "a") {
      breaker.accepted();
      return [];
    }
    const reason = one === "u" ? breaker.unanswered() : breaker.refusedForGood(one === "c");
    return reason === undefined ? [] : [`${String(index + 1)}: ${reason}`];
  });
}

describe("breaker (R32)", () => {
  it("pauses at so many refusals in a row, and not before", () => {
    assert.deepEqual(play("arrrr"), []);
    assert.deepEqual(play("arrrrr"), ["6: 5 messages in a row were refused."]);
    assert.deepEqual(play("rr", 2), ["2: 2 messages in a row were refused."]);
  });

  it("counts from anew after a message that was accepted", () => {
    assert.deepEqual(play("rrrrarrrra"), []);
  });

  it("pauses when more than a fifth of the first fifty were refused, even when never in a row", () => {
    assert.deepEqual(play("ra".repeat(10)), []);
    assert.deepEqual(play(`${"ra".repeat(10)}r`), ["21: 11 of the first 21 messages were refused."]);
  });

  it("tolerates exactly a fifth of the first fifty", () => {
    assert.deepEqual(play("aaaar".repeat(10)), []);
  });

  it("judges no share after the first fifty", () => {
    assert.deepEqual(play("a".repeat(39) + "r".repeat(4) + "a".repeat(7) + "ra".repeat(100)), []);
  });

  it("pauses when nothing is answered any more: every one of them may have been sent", () => {
    assert.deepEqual(play("auuuu"), []);
    assert.deepEqual(play("auuuuu"), ["6: 5 messages in a row were handed over and got no reply."]);
    assert.deepEqual(play("uuuuauuuuruuuu"), []);
  });

  it("pauses sooner when the content is refused: every recipient would meet that", () => {
    assert.deepEqual(play("aaacc"), []);
    assert.deepEqual(play("aaaccc"), ["6: The content of 3 messages was refused."]);
    assert.deepEqual(play("aaaccacc"), []);
    assert.deepEqual(play("aaaccrcc"), ["8: 5 messages in a row were refused."]);
    assert.deepEqual(play("cac"), ["3: The content of 2 messages was refused."]);
    assert.deepEqual(play("acac"), []);
  });

  it("never pauses when told so", () => {
    assert.deepEqual(play(`${"r".repeat(60)}${"u".repeat(60)}${"c".repeat(9)}`, 0), []);
  });
});
