// A list of things in memory, served as a small JSON resource.
export interface Item {
  readonly id: string;
  readonly [field: string]: unknown;
}

export interface Reply {
  readonly status: number;
  readonly body: unknown;
}

export interface Collection {
  list(query: URLSearchParams): Reply;
  get(id: string): Reply;
  create(body: unknown): Reply;
  remove(id: string): Reply;
}

export interface CollectionOptions {
  /** `book`, as messages name it. */
  readonly noun: string;
  readonly items: readonly Item[];
  readonly required: readonly string[];
  /** Oldest created items go first beyond this many, so that a long demo stays small. */
  readonly capacity?: number;
}

export const createCollection = (options: CollectionOptions): Collection => {
  const { noun, required, capacity = 1000 } = options;
  const items = new Map(options.items.map((item) => [item.id, item]));
  let serial = items.size;
  const missing = (id: string): Reply => ({
    status: 404,
    body: { error: 'Not Found', reason: `no ${noun} ${id}` },
  });

  return {
    list(query) {
      const limit = Math.min(Math.max(Number(query.get('limit') ?? 20) || 20, 1), 100);
      const filters = [...query].filter(([field]) => field !== 'limit');
      const found = [...items.values()].filter((item) =>
        filters.every(
          ([field, value]) => Object.hasOwn(item, field) && String(item[field]) === value,
        ),
      );
      return { status: 200, body: { total: found.length, items: found.slice(0, limit) } };
    },
    get(id) {
      const item = items.get(id);
      return item ? { status: 200, body: item } : missing(id);
    },
    create(body) {
      if (typeof body !== 'object' || body === null || Array.isArray(body))
        return { status: 400, body: { error: 'Bad Request', reason: `a ${noun} is an object` } };
      const absent = required.filter((field) => !Object.hasOwn(body, field));
      if (absent.length > 0)
        return {
          status: 422,
          body: { error: 'Unprocessable Content', reason: `${noun} without ${absent.join(', ')}` },
        };
      const item = { ...body, id: `${noun}-${++serial}` };
      items.set(item.id, item);
      const oldest = items.keys().next();
      if (items.size > capacity && !oldest.done) items.delete(oldest.value);
      return { status: 201, body: item };
    },
    remove(id) {
      return items.delete(id) ? { status: 204, body: undefined } : missing(id);
    },
  };
};
