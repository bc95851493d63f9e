// A gRPC server with one unary answer, as lean as node:http2 lets it be. Takes its port as argument.
import http2 from 'node:http2';

const message = Buffer.from('{"id":1,"title":"The Go Programming Language","available":true}');
const frame = Buffer.concat([Buffer.alloc(5), message]);
frame.writeUInt32BE(message.length, 1);

const server = http2.createServer({ settings: { maxConcurrentStreams: 1000 } });
server.on('stream', (stream: http2.ServerHttp2Stream) => {
  stream.resume();
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.on('error', () => {});
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.end(frame);
});
server.listen(Number(process.argv[2]), '127.0.0.1');
