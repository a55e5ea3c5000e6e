import assert from "node:assert/strict";
import fc from "fast-check";
import { SeenRows } from "../../src/mail/seenRows";

describe("seenRows: R44 R50 who was on the list already", () => {
  it("knows the first row of an identity and whether it gives the same message", () => {
    const seen = new SeenRows();
    assert.equal(seen.meet("bob@example.org", 1, ["bob@example.org", "Bob", "x"], [0, 1]), undefined);
    assert.equal(seen.meet("cy@example.org", 2, ["cy@example.org", "Cy", "x"], [0, 1]), undefined);
    assert.deepEqual(seen.meet("bob@example.org", 7, ["bob@example.org", "Bob", "y"], [0, 1]), { line: 1, same: true });
    assert.deepEqual(seen.meet("bob@example.org", 8, ["bob@example.org", "Rob", "x"], [0, 1]), {
      line: 1,
      same: false,
    });
  });

  it("tells where one cell ends and the next begins", () => {
    const seen = new SeenRows();
    seen.meet("bob@example.org", 1, ["ab", "c"], [0, 1]);
    assert.equal(seen.meet("bob@example.org", 2, ["a", "bc"], [0, 1])?.same, false);
    assert.equal(seen.meet("bob@example.org", 2, ["abc", ""], [0, 1])?.same, false);
    assert.equal(seen.meet("bob@example.org", 2, ["ab", "c"], [0, 1])?.same, true);
  });

  it("says the same as a map of all texts", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "\t", "@", "é"), maxLength: 3 });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text, text), { maxLength: 200 }), (rows) => {
        const seen = new SeenRows();
        const known = new Map<string, { readonly line: number; readonly cells: string }>();
        rows.forEach(([identity, ...cells], line) => {
          const first = known.get(identity);
          const met = seen.meet(identity, line, cells, [0, 1]);
          const written = JSON.stringify(cells);
          assert.deepEqual(met, first && { line: first.line, same: first.cells === written });
          if (first === undefined) known.set(identity, { line, cells: written });
        });
      }),
    );
  });

  it("takes no two of a million similar addresses for one, in less than 100 MB", () => {
    const before = process.memoryUsage();
    const seen = new SeenRows();
    const count = 1_000_000;
    for (let index = 0; index < count; index++) {
      assert.equal(seen.meet(`person${index}@example${index % 7}.org`, index, ["x"], [0]), undefined);
    }
    for (let index = 0; index < count; index += 9973) {
      const met = seen.meet(`person${index}@example${index % 7}.org`, -1, ["x"], [0]);
      assert.deepEqual(met, { line: index, same: true });
    }
    const after = process.memoryUsage();
    assert.ok(after.arrayBuffers - before.arrayBuffers < 100e6);
  }).timeout(30_000);
});
