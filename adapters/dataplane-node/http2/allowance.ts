// How often something may happen that costs the one who sends it less than the one who receives it.

export class Allowance {
  private readonly most: number;
  private readonly regainedPerMs: number;
  private used = 0;
  private at = 0;

  constructor(most: number, regainedPerMs: number) {
    this.most = most;
    this.regainedPerMs = regainedPerMs;
  }

  /** False once it is used up. `now` in milliseconds, of any clock that only goes forward. */
  use(now: number): boolean {
    this.used = Math.max(0, this.used - (now - this.at) * this.regainedPerMs) + 1;
    this.at = now;
    return this.used <= this.most;
  }

  /** For something that makes `count` of them lawful. */
  regain(count: number): void {
    this.used = Math.max(0, this.used - count);
  }
}
