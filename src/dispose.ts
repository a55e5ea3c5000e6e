/** Ownership: what is created is registered on the same line and ends in reverse order. */

/** Anything that can be ended; VS Code's own disposables fit. */
export interface Disposable {
  dispose(): unknown;
}

/** Owns disposables and ends the last one first. Adding to an ended store ends the newcomer at once. */
export class DisposableStore implements Disposable {
  private readonly owned: Disposable[] = [];
  private disposed = false;

  /** Takes over `item` and returns it. */
  add<T extends Disposable>(item: T): T {
    if (this.disposed) item.dispose();
    else this.owned.push(item);
    return item;
  }

  /** Ends everything; one that throws does not keep the others from ending, the first error is thrown at the end. */
  dispose(): void {
    this.disposed = true;
    const errors: unknown[] = [];
    for (let item = this.owned.pop(); item !== undefined; item = this.owned.pop()) {
      try {
        item.dispose();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

/** Makes a disposable of a function; it runs once. */
export function toDisposable(end: () => unknown): Disposable {
  let ended = false;
  return {
    dispose: () => {
      if (ended) return;
      ended = true;
      end();
    },
  };
}
