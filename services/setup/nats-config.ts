// The server's configuration: who is who and may do what. Three accounts, because inside one account a reply may be sent
// to any subject: whoever may ask anything could have the answer stored in the policy log.
//   CONTROL  streams, buckets and the control service, which may do everything there
//   AGENTS   one user per agent; what it says is exported to CONTROL, its own scope is all it can read
//   PEOPLE   people and scripts; their requests arrive in CONTROL with the server's word on who asks
import { deliverPrefix, inboxPrefix } from '#adapters/bus-nats/credentials.ts';
import type { BusUser, BusUsers } from '#adapters/bus-nats/users.ts';
import { operations, type Role, roles } from '#engine/model/api.ts';
import type { Scope } from '#engine/model/scope.ts';
import { streams, subjects } from '#engine/model/subjects.ts';

/** Under which name agents find the one call of JetStream's API that they may make. */
export const AGENTS_API = '$WEIR.API';
const CREATE_READER = `CONSUMER.CREATE.${streams.control}`;

const MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;

interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer what it is asked on what it subscribes to. */
  readonly answers?: boolean;
}

const isRole = (role: string): role is Role => (roles as readonly string[]).includes(role);

const agentPermissions = (mesh: string, user: BusUser): Permissions => {
  const of = subjects(mesh);
  const scope = user.scope as Scope;
  return {
    publish: [
      `${AGENTS_API}.${CREATE_READER}.*.${of.control(scope)}`,
      of.ack(scope, user.name),
      of.sample(scope, user.name),
      of.alive(user.name),
    ],
    subscribe: [
      `${inboxPrefix(user.publicKey)}.>`,
      `${deliverPrefix(user.publicKey)}.>`,
      of.heartbeat,
    ],
  };
};

const peoplePermissions = (mesh: string, role: Role): Permissions => {
  const of = subjects(mesh);
  const allowed = Object.entries(operations).filter(
    ([, { role: needed }]) => roles.indexOf(role) >= roles.indexOf(needed),
  );
  // Who answers for a metric of a rollout can make it be rolled back, as an operator can.
  const mayMeasure = roles.indexOf(role) >= roles.indexOf('operator');
  return {
    publish: allowed.map(([operation]) => {
      const [noun = '', verb = ''] = operation.split('.');
      return of.api(noun, verb);
    }),
    subscribe: ['_INBOX.>', of.everyEvent, ...(mayMeasure ? [of.everyMetric] : [])],
    answers: mayMeasure,
  };
};

const permissionsOf = (mesh: string, user: BusUser): Permissions | undefined => {
  if (user.role === 'agent') return agentPermissions(mesh, user);
  return isRole(user.role) ? peoplePermissions(mesh, user.role) : undefined;
};

const list = (items: readonly string[]): string =>
  items.map((item) => JSON.stringify(item)).join(', ');

const userLine = (mesh: string, user: BusUser): string => {
  const permissions = permissionsOf(mesh, user);
  const rights = permissions
    ? `, permissions: { publish: { allow: [${list(permissions.publish)}] }, subscribe: { allow: [${list(permissions.subscribe)}] }${permissions.answers ? ', allow_responses: true' : ''} }`
    : '';
  return `      # ${user.name}\n      { nkey: ${user.publicKey}${rights} }`;
};

export const renderNatsConfig = (
  { mesh, users }: BusUsers,
  place: { readonly port: number; readonly storeDirectory: string },
): string => {
  const of = subjects(mesh);
  const said = [of.everyAck, of.everySample, of.everyAlive];
  const told = [of.heartbeat, '_WEIR.>'];
  const lines = (chosen: readonly BusUser[]) =>
    chosen.map((user) => userLine(mesh, user)).join('\n');
  const exportTo = (account: string, kind: string, subject: string) =>
    `      { ${kind}: ${JSON.stringify(subject)}, accounts: [${account}] }`;
  const importFrom = (account: string, subject: string) =>
    `      { stream: { account: ${account}, subject: ${JSON.stringify(subject)} } }`;
  const everyReader = `${CREATE_READER}.*.weir.*.control.>`;
  return `# Written by Weir's set-up, again whenever a user is added. Changes by hand are lost.
listen: "127.0.0.1:${place.port}"
server_name: weir
max_payload: ${MAX_PAYLOAD_BYTES}
logfile_size_limit: 16MB
jetstream { store_dir: ${JSON.stringify(place.storeDirectory)} }

accounts {
  CONTROL {
    jetstream: enabled
    users: [
${lines(users.filter((user) => user.role === 'control'))}
    ]
    exports: [
${exportTo('AGENTS', 'service', `$JS.API.${everyReader}`)}
${told.map((subject) => exportTo('AGENTS', 'stream', subject)).join('\n')}
${exportTo('PEOPLE', 'service', of.everyApi)}
${exportTo('PEOPLE', 'stream', of.everyEvent)}
    ]
    imports: [
${said.map((subject) => importFrom('AGENTS', subject)).join('\n')}
      { service: { account: PEOPLE, subject: "${of.everyMetric}" } }
    ]
  }
  AGENTS {
    users: [
${lines(users.filter((user) => user.role === 'agent'))}
    ]
    exports: [
${said.map((subject) => exportTo('CONTROL', 'stream', subject)).join('\n')}
    ]
    imports: [
      { service: { account: CONTROL, subject: "$JS.API.${everyReader}" }, to: "${AGENTS_API}.${CREATE_READER}.$1.weir.$2.control.>" }
${told.map((subject) => importFrom('CONTROL', subject)).join('\n')}
    ]
  }
  PEOPLE {
    users: [
${lines(users.filter((user) => isRole(user.role)))}
    ]
    exports: [
${exportTo('CONTROL', 'service', of.everyMetric)}
    ]
    imports: [
      { service: { account: CONTROL, subject: "${of.everyApi}" }, share: true }
${importFrom('CONTROL', of.everyEvent)}
    ]
  }
}
`;
};
