// A radix tree over path patterns: one walk down a path finds every pattern that covers it, however many there are.

export interface PathPattern {
  /** `segmentPrefix` covers whole segments only: `/foo` covers `/foo`, `/foo/` and `/foo/x`, not `/foobar`. */
  readonly type: 'exact' | 'segmentPrefix' | 'stringPrefix';
  readonly value: string;
}

interface Node<T> {
  label: string;
  children: Map<number, Node<T>> | undefined;
  exact: T[] | undefined;
  segmentPrefix: T[] | undefined;
  stringPrefix: T[] | undefined;
}

const leaf = <T>(label: string): Node<T> => ({
  label,
  children: undefined,
  exact: undefined,
  segmentPrefix: undefined,
  stringPrefix: undefined,
});

const SLASH = 47;

export class PathIndex<T> {
  readonly #root: Node<T> = leaf('');

  /** Items of one pattern keep the order in which they were added. */
  add(pattern: PathPattern, item: T): void {
    const value =
      pattern.type === 'segmentPrefix' ? pattern.value.replace(/\/+$/, '') : pattern.value;
    const node = this.#nodeAt(value);
    const list = node[pattern.type];
    if (list) list.push(item);
    else node[pattern.type] = [item];
  }

  /** Appends the lists of all patterns that cover the path, shortest pattern first. */
  collect(path: string, into: (readonly T[])[]): void {
    let node = this.#root;
    let at = 0;
    for (;;) {
      if (node.stringPrefix) into.push(node.stringPrefix);
      const atEnd = at === path.length;
      if (node.segmentPrefix && (atEnd || path.charCodeAt(at) === SLASH))
        into.push(node.segmentPrefix);
      if (atEnd) {
        if (node.exact) into.push(node.exact);
        return;
      }
      const child = node.children?.get(path.charCodeAt(at));
      if (child === undefined || !path.startsWith(child.label, at)) return;
      at += child.label.length;
      node = child;
    }
  }

  #nodeAt(value: string): Node<T> {
    let node = this.#root;
    let rest = value;
    while (rest !== '') {
      node.children ??= new Map();
      const child = node.children.get(rest.charCodeAt(0));
      if (child === undefined) {
        const added = leaf<T>(rest);
        node.children.set(rest.charCodeAt(0), added);
        return added;
      }
      const shared = sharedLength(child.label, rest);
      node = shared < child.label.length ? split(node, child, shared) : child;
      rest = rest.slice(shared);
    }
    return node;
  }
}

const sharedLength = (a: string, b: string): number => {
  let length = 0;
  while (length < a.length && length < b.length && a.charCodeAt(length) === b.charCodeAt(length))
    length += 1;
  return length;
};

/** Puts a node between parent and child, so that the label ends after `length` characters. */
const split = <T>(parent: Node<T>, child: Node<T>, length: number): Node<T> => {
  const middle = leaf<T>(child.label.slice(0, length));
  child.label = child.label.slice(length);
  middle.children = new Map([[child.label.charCodeAt(0), child]]);
  parent.children?.set(middle.label.charCodeAt(0), middle);
  return middle;
};
