// Connections whose answer has just ended. Before they serve again everything that the endpoint sent behind it is read, while
// nobody listens: an idle connection that says anything is closed.
import { callAtRoundEnd } from '../event-rounds.ts';
import type { UpstreamConnection } from './connection.ts';

interface RestingOwner {
  /** Clients wait for a connection: it will be written to at once. */
  readonly hasWaiting: boolean;
  onRested(connection: UpstreamConnection): void;
}

export class Resting {
  private readonly owner: RestingOwner;
  /** Since this round, or this part of it. */
  private fresh: UpstreamConnection[] = [];
  /** Since the one before. */
  private rested: UpstreamConnection[] = [];
  private isCalled = false;

  constructor(owner: RestingOwner) {
    this.owner = owner;
  }

  get size(): number {
    return this.fresh.length + this.rested.length;
  }

  add(connection: UpstreamConnection): void {
    if (!this.isCalled) callAtRoundEnd(this);
    this.isCalled = true;
    this.fresh.push(connection);
  }

  forget(connection: UpstreamConnection): void {
    for (const each of [this.fresh, this.rested]) {
      const place = each.indexOf(connection);
      if (place >= 0) each.splice(place, 1);
    }
  }

  onRoundEnd(isWhole: boolean): void {
    const { owner, fresh, rested } = this;
    this.fresh = [];
    if (rested.length > 0) this.rested = [];
    this.isCalled = false;
    for (const connection of rested) release(owner, connection);
    // Who takes it out of the pool notices what comes together with the next request, who waits for it would not.
    for (const connection of fresh)
      if (!isWhole || owner.hasWaiting) this.rested.push(connection);
      else release(owner, connection);
    if (this.rested.length === 0) return;
    this.isCalled = true;
    callAtRoundEnd(this);
  }
}

const release = (owner: RestingOwner, connection: UpstreamConnection): void => {
  if (connection.isIdle) owner.onRested(connection);
};
