/** Notices when refusals are no longer the single recipient's affair: a person should look before the rest goes out. */

/** Over so many first messages the share of refusals is watched; more than `tooMany` of them pause the run. */
const firstMessages = 50;
const tooMany = 10;

/** A content that is refused so often in a row, or of the first three twice, is refused everywhere. */
const contentInARow = 3;
const contentOfFirst = 2;

/** Counts the settled messages of one stretch. */
export class Breaker {
  private settled = 0;
  private refused = 0;
  private inARow = 0;
  private unansweredInARow = 0;
  private contentInARow = 0;
  private content = 0;

  /** @param pauseAfter final failures in a row that pause the run; 0 never pauses it */
  constructor(private readonly pauseAfter: number) {}

  /** A message was accepted. */
  accepted(): void {
    this.settled++;
    this.inARow = this.unansweredInARow = this.contentInARow = 0;
  }

  /** A message was handed over and got no reply. Returns the reason to pause, in a sentence, when there is one. */
  unanswered(): string | undefined {
    this.settled++;
    this.unansweredInARow++;
    if (this.pauseAfter === 0 || this.unansweredInARow < this.pauseAfter) return undefined;
    return `${String(this.unansweredInARow)} messages in a row were handed over and got no reply.`;
  }

  /**
   * A message was refused for good; `content`: for what it says or is, not for whom it goes to. Returns the reason to pause, in
   * a sentence, when there is one.
   */
  refusedForGood(content = false): string | undefined {
    this.settled++;
    this.inARow++;
    this.unansweredInARow = 0;
    this.contentInARow = content ? this.contentInARow + 1 : 0;
    if (content) this.content++;
    if (this.settled <= firstMessages) this.refused++;
    if (this.pauseAfter === 0) return undefined;
    if (this.contentInARow >= contentInARow || (this.settled <= 3 && this.content >= contentOfFirst))
      return `The content of ${String(this.content)} messages was refused.`;
    if (this.inARow >= this.pauseAfter) return `${String(this.inARow)} messages in a row were refused.`;
    if (this.refused > tooMany && this.settled <= firstMessages)
      return `${String(this.refused)} of the first ${String(this.settled)} messages were refused.`;
    return undefined;
  }
}
