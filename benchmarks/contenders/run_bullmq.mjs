// BullMQ on Node, in its own language. Same protocol as protocol.py.
//
// The worker is BullMQ's own, with its locks and its check for stalled jobs. `setting` is
// `CONCURRENCY [WAIT_MS]`. Completed jobs are removed (`removeOnComplete`), which its guide advises
// and which is faster than keeping them. (More than 50 at a time gains next to nothing.) ioredis is
// the client that its documentation uses.
import { createRequire } from 'node:module';
import readline from 'node:readline';

const [url, itemsText, setting, modules] = process.argv.slice(2);
const require = createRequire(modules + '/');
const { Queue, Worker } = require('bullmq');
const IORedis = require('ioredis').default;

const items = Number(itemsText);
const [atOnce, waitMs = 0] = setting.split(' ').map(Number);
const warm = waitMs ? 0 : Math.max(1, Math.min(2000, Math.floor(items / 2))); // the JIT needs some time
const say = (facts) => process.stdout.write(JSON.stringify(facts) + '\n');
const lines = readline.createInterface({ input: process.stdin });
const waiting = [];
const heard = [];
lines.on('line', (line) => (waiting.length ? waiting.shift()(line) : heard.push(line)));
lines.on('close', () => process.exit(1));
const hear = () =>
  heard.length ? Promise.resolve(heard.shift()) : new Promise((resolve) => waiting.push(resolve));

const connect = () => new IORedis(url, { maxRetriesPerRequest: null });
const queue = new Queue('bench', {
  connection: connect(),
  defaultJobOptions: { removeOnComplete: true },
});
for (let first = 0; first < items; first += 500) {
  const jobs = [];
  for (let n = first; n < Math.min(first + 500, items); n++) {
    jobs.push({ name: 'note', data: n });
  }
  await queue.addBulk(jobs);
}
say({ filled: items });
await hear();

const seen = [];
const now = () => {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now() / 1000, cpu: (user + system) / 1e6 };
};
let began;
const ended = await new Promise((resolve) => {
  new Worker(
    'bench',
    async (job) => {
      if (waitMs) {
        began ??= now();
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
      seen.push(job.data);
      if (seen.length === warm) began = now();
      else if (seen.length === items) resolve(now());
    },
    { connection: connect(), concurrency: atOnce },
  );
});
say({
  items: items - warm,
  seconds: ended.wall - began.wall,
  cpu_seconds: ended.cpu - began.cpu,
});
await hear();
let left = items;
for (let i = 0; i < 50 && left > 0; i++) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'failed', 'prioritized');
  left = Object.values(counts).reduce((a, b) => a + b, 0);
}
process.stdout.write(
  JSON.stringify({ done: seen.length, distinct: new Set(seen).size, left }) + '\n',
  () => process.exit(0),
);
