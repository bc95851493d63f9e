// Counts what the readers saw. Totals since the start; latencies of the last second only.

export interface Totals {
  readonly sent: number;
  /** 2xx and 3xx */
  readonly ok: number;
  /** 4xx: refused by policy, or not there. */
  readonly refused: number;
  /** 5xx */
  readonly failed: number;
  /** No answer at all. */
  readonly lost: number;
}

export interface Tally {
  answered(status: number, ms: number): void;
  lost(): void;
  /** The totals and the p99 since the last report. */
  report(): Totals & { readonly p99Ms: number };
}

export const createTally = (): Tally => {
  const totals = { sent: 0, ok: 0, refused: 0, failed: 0, lost: 0 };
  let latencies: number[] = [];
  return {
    answered(status, ms) {
      totals.sent++;
      totals[status >= 500 ? 'failed' : status >= 400 ? 'refused' : 'ok']++;
      latencies.push(ms);
    },
    lost() {
      totals.sent++;
      totals.lost++;
    },
    report() {
      const sorted = latencies.toSorted((a, b) => a - b);
      latencies = [];
      const p99Ms = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0;
      return { ...totals, p99Ms };
    },
  };
};

export const formatTotals = ({
  sent,
  ok,
  refused,
  failed,
  lost,
  p99Ms,
}: ReturnType<Tally['report']>) =>
  `readers sent=${sent} ok=${ok} refused=${refused} failed=${failed} lost=${lost} p99=${p99Ms.toFixed(1)}ms`;

export const parseTotals = (line: string): (Totals & { p99Ms: number }) | undefined => {
  const match =
    /^readers sent=(\d+) ok=(\d+) refused=(\d+) failed=(\d+) lost=(\d+) p99=([\d.]+)ms$/.exec(line);
  if (!match) return undefined;
  const [sent = 0, ok = 0, refused = 0, failed = 0, lost = 0, p99Ms = 0] = match
    .slice(1)
    .map(Number);
  return { sent, ok, refused, failed, lost, p99Ms };
};
