// The addresses at which people come back from an issuer, and at which they sign out: they belong to every host that has a
// rule behind a login, whatever its Routes say.
import type { AuthenticationPlan, HostEntry, LoginPlan, Rule } from '../../model/snapshot.ts';

interface Routed {
  readonly hosts: readonly HostEntry[];
  readonly rules: readonly Rule[];
}

/** Two logins of one host want the same path. */
export interface LoginConflict {
  /** Keys of authentications; the second one has to give way. */
  readonly keys: readonly [string, string];
  readonly path: string;
}

export const withLogins = <R extends Routed>(
  routed: R,
  plans: ReadonlyMap<string, AuthenticationPlan>,
): R & { readonly conflicts: readonly LoginConflict[] } => {
  const rules = [...routed.rules];
  const numbers = new Map<string, number>();
  const conflicts: LoginConflict[] = [];
  const numberOf = (key: string, path: string): number => {
    const known = numbers.get(`${key} ${path}`);
    if (known !== undefined) return known;
    rules.push(loginRule(key, path, plans.get(key)));
    numbers.set(`${key} ${path}`, rules.length - 1);
    return rules.length - 1;
  };
  const hosts = routed.hosts.map((entry) => {
    const owners = new Map<string, string>();
    for (const number of entry.rules)
      for (const key of routed.rules[number]?.authentications ?? [])
        for (const path of loginPaths(plans.get(key))) {
          const owner = owners.get(path);
          if (owner === undefined) owners.set(path, key);
          else if (owner !== key) conflicts.push({ keys: [owner, key], path });
        }
    const first = [...owners].map(([path, key]) => numberOf(key, path));
    return first.length === 0 ? entry : { ...entry, rules: [...first, ...entry.rules] };
  });
  return { ...routed, hosts, rules, conflicts };
};

const loginPaths = (plan: AuthenticationPlan | undefined): readonly string[] =>
  (plan?.methods ?? []).flatMap((method) =>
    isLogin(method) ? [method.redirectPath, method.logoutPath] : [],
  );

const isLogin = (method: AuthenticationPlan['methods'][number]): method is LoginPlan =>
  method.type === 'oidc';

/** The login answers every request that comes here before the action is asked. */
const loginRule = (key: string, path: string, plan: AuthenticationPlan | undefined): Rule => ({
  id: `${key}/login`,
  origin: plan?.origin ?? { resource: `Authentication/${key}` },
  match: {
    path: { type: 'exact', value: path },
    methods: [],
    headers: [],
    query: [],
    cookies: [],
  },
  action: {
    type: 'respond',
    status: 404,
    body: '{"error":"Not Found"}',
    contentType: 'application/json',
  },
  authentications: [key],
  authorizations: [],
  quotas: [],
});
