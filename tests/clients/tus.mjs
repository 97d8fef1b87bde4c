// Uploads a file by tus-js-client in chunks; pauses after three, says so, goes on when told to, over whatever breaks.
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";
import { once } from "node:events";

const { Upload } = createRequire(process.env.QUAN_NPM + "/")("tus-js-client");
const CHUNK = 1 << 20;

let accepted = 0;
const paused = Promise.withResolvers?.() ?? deferred();
const done = Promise.withResolvers?.() ?? deferred();
const upload = new Upload(createReadStream(process.env.QUAN_FILE), {
  endpoint: process.env.QUAN_URL + "/v1/uploads",
  headers: { Authorization: "Bearer " + process.env.QUAN_TOKEN },
  metadata: { filename: "corpus.bin" },
  chunkSize: CHUNK,
  retryDelays: Array(60).fill(1000),
  onChunkComplete(_size, sofar) {
    accepted = sofar;
    if (sofar === 3 * CHUNK) upload.abort().then(paused.resolve, paused.reject);
  },
  onSuccess: () => done.resolve(),
  onError: (fault) => done.reject(fault),
});

upload.start();
await paused.promise;
console.log(upload.url, accepted);
await once(process.stdin, "data");
upload.start();
await done.promise;
console.log("done", accepted);
process.exit(0);

function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
