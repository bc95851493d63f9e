// While a queue of callers waits to be let in, those who are in already are not read from: the runtime accepts one connection per turn of its
// loop, and a turn in which nobody is served takes a hundredth of one in which hundreds are.

/** Has been read once and is not read again until the rush is over. */
interface Held {
  onRushEnd(): void;
}

export class Rush {
  isOn = false;
  private held: Held[] = [];

  begin(): void {
    this.isOn = true;
  }

  hold(connection: Held): void {
    this.held.push(connection);
  }

  end(): void {
    this.isOn = false;
    const { held } = this;
    this.held = [];
    for (const connection of held) connection.onRushEnd();
  }
}
