// The question of grpc.health.v1.Health/Check about the server as a whole, and its answer.
import type { FieldSection } from '../http1/field-section.ts';
import type { ClientConnection } from './client.ts';

/** An uncompressed message without content: no service named. */
const EMPTY_MESSAGE = Buffer.alloc(5);
/** Field 1 of HealthCheckResponse is `SERVING`. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
const MAX_ANSWER_BYTES = 1024;

export const askGrpcHealth = (connection: ClientConnection, authority: string): void => {
  connection.writeHead(
    `POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: ${authority}\r\n` +
      'content-type: application/grpc\r\nte: trailers\r\nuser-agent: weir-health-check\r\n\r\n',
  );
  connection.writeRun(EMPTY_MESSAGE, 0, EMPTY_MESSAGE.length, false);
};

export class GrpcHealthAnswer {
  private bytes = Buffer.alloc(0);

  add(bytes: Buffer, start: number, end: number): void {
    if (this.bytes.length <= MAX_ANSWER_BYTES)
      this.bytes = Buffer.concat([this.bytes, bytes.subarray(start, end)]);
  }

  isServing(trailers: FieldSection | undefined): boolean {
    return trailers?.first('grpc-status') === '0' && this.bytes.equals(SERVING);
  }
}
