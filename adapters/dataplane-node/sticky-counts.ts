// Errors by group of callers who stay with their version, since it was last asked.
import { stickyGroupOf } from '#engine/model/sticky.ts';
import type { StickyErrors } from '#engine/model/telemetry.ts';

export class StickyCounts {
  private groups = new Map<string, Map<number, number>>();

  add(service: string, point: number): void {
    let groups = this.groups.get(service);
    if (!groups) this.groups.set(service, (groups = new Map()));
    const group = stickyGroupOf(point);
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }

  take(): readonly StickyErrors[] {
    if (this.groups.size === 0) return [];
    const taken = [...this.groups].map(([service, groups]) => ({
      service,
      errors: [...groups].flat(),
    }));
    this.groups = new Map();
    return taken;
  }
}
