// The test service of gRPC's interoperability suite, on grpc-js, with messages of its own making.
import grpc from '@grpc/grpc-js';
import { closing } from '../support.ts';

/** What stands in for the messages of `grpc.testing`; `bytes` is how much payload goes along. */
export interface Message {
  readonly bytes?: number;
  readonly wants?: readonly number[];
  readonly status?: { readonly code: number; readonly message: string };
}

const serialize = (message: Message): Buffer => {
  const json = Buffer.from(JSON.stringify(message));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, Buffer.alloc(message.bytes ?? 0)]);
};

const deserialize = (bytes: Buffer): Message => {
  const end = 4 + bytes.readUInt32BE(0);
  const message = JSON.parse(bytes.subarray(4, end).toString()) as Message;
  if (bytes.length - end !== (message.bytes ?? 0)) throw new Error('the payload is incomplete');
  return message;
};

const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/grpc.testing.TestService/${name}`,
  requestStream,
  responseStream,
  requestSerialize: serialize,
  requestDeserialize: deserialize,
  responseSerialize: serialize,
  responseDeserialize: deserialize,
});

export const testService = {
  EmptyCall: method('EmptyCall', false, false),
  UnaryCall: method('UnaryCall', false, false),
  StreamingOutputCall: method('StreamingOutputCall', false, true),
  StreamingInputCall: method('StreamingInputCall', true, false),
  FullDuplexCall: method('FullDuplexCall', true, true),
  UnimplementedCall: method('UnimplementedCall', false, false),
} as const;

const INITIAL = 'x-grpc-test-echo-initial';
const TRAILING = 'x-grpc-test-echo-trailing-bin';

const echo = (
  call: Pick<grpc.ServerUnaryCall<Message, Message>, 'metadata' | 'sendMetadata'>,
): grpc.Metadata => {
  const trailing = new grpc.Metadata();
  const [initial] = call.metadata.get(INITIAL);
  if (initial !== undefined) {
    const metadata = new grpc.Metadata();
    metadata.set(INITIAL, initial);
    call.sendMetadata(metadata);
  }
  const [last] = call.metadata.get(TRAILING);
  if (last !== undefined) trailing.set(TRAILING, last);
  return trailing;
};

const { UnimplementedCall: _, ...implemented } = testService;

export interface InteropServer {
  readonly port: number;
  /** Deadlines that calls came with, as far as they had any. */
  readonly cancelled: string[];
  readonly metadata: grpc.Metadata[];
  calls: number;
}

const wanted = (message: Message): readonly number[] => message.wants ?? [];

export const interopServer = async (): Promise<InteropServer> => {
  const server = new grpc.Server();
  const state: InteropServer = { port: 0, cancelled: [], metadata: [], calls: 0 };
  server.addService(implemented, {
    EmptyCall: (
      call: grpc.ServerUnaryCall<Message, Message>,
      done: grpc.sendUnaryData<Message>,
    ) => {
      state.calls++;
      state.metadata.push(call.metadata);
      done(null, {});
    },
    UnaryCall: (
      call: grpc.ServerUnaryCall<Message, Message>,
      done: grpc.sendUnaryData<Message>,
    ) => {
      state.calls++;
      const trailing = echo(call);
      const { status } = call.request;
      if (status) done({ code: status.code, details: status.message });
      else done(null, { bytes: wanted(call.request)[0] ?? 0 }, trailing);
    },
    StreamingOutputCall: (call: grpc.ServerWritableStream<Message, Message>) => {
      for (const bytes of wanted(call.request)) call.write({ bytes });
      call.end();
    },
    StreamingInputCall: (
      call: grpc.ServerReadableStream<Message, Message>,
      done: grpc.sendUnaryData<Message>,
    ) => {
      let sum = 0;
      call.on('cancelled', () => state.cancelled.push('StreamingInputCall'));
      call.on('data', (message: Message) => {
        sum += message.bytes ?? 0;
      });
      call.on('end', () => done(null, { wants: [sum] }));
    },
    FullDuplexCall: (call: grpc.ServerDuplexStream<Message, Message>) => {
      const trailing = echo(call);
      call.on('cancelled', () => state.cancelled.push('FullDuplexCall'));
      call.on('data', (message: Message) => {
        const { status } = message;
        if (status) call.emit('error', { code: status.code, details: status.message });
        else for (const bytes of wanted(message)) call.write({ bytes });
      });
      call.on('end', () => call.end(trailing));
    },
  } as unknown as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  closing(() => server.forceShutdown());
  return Object.assign(state, { port });
};

type Unary = (
  message: Message,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, answer?: Message) => void,
) => grpc.ClientUnaryCall;

export interface InteropClient {
  EmptyCall: Unary;
  UnaryCall: Unary;
  UnimplementedCall: Unary;
  StreamingOutputCall(message: Message): grpc.ClientReadableStream<Message>;
  StreamingInputCall(
    done: (error: grpc.ServiceError | null, answer?: Message) => void,
  ): grpc.ClientWritableStream<Message>;
  FullDuplexCall(
    metadata?: grpc.Metadata,
    options?: grpc.CallOptions,
  ): grpc.ClientDuplexStream<Message, Message>;
}

export const interopClient = (port: number): InteropClient => {
  const Client = grpc.makeGenericClientConstructor(testService, 'TestService');
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.enable_retries': 0,
  });
  closing(() => client.close());
  return client as unknown as InteropClient;
};

export interface Told {
  readonly code: number;
  readonly details: string;
  readonly metadata: grpc.Metadata;
  readonly answer: Message | undefined;
  readonly initial: grpc.Metadata | undefined;
}

export const unary = (
  call: Unary,
  message: Message = {},
  metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): Promise<Told> =>
  new Promise((resolve) => {
    let answer: Message | undefined;
    let initial: grpc.Metadata | undefined;
    const running = call(message, metadata, options, (_error, given) => {
      answer = given;
    });
    running.on('metadata', (given) => {
      initial = given;
    });
    running.on('status', (status) => resolve({ ...status, answer, initial }));
  });
