/**
 * What the reporter costs a service: the library's bare server next to the same with an interceptor that does
 * nothing, with the reporter, and with the reporter that holds to an admissible rate, in one run.
 * Run alone: `node test/bench/reporter.ts`.
 */
import { Client, credentials } from '@grpc/grpc-js'
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { startPush } from '../push/pushClient.ts'
import type { ReporterStart, ReporterSubject } from './reporterServer.ts'
import { DETECT, SUBJECTS } from './reporterServer.ts'

const IN_FLIGHT = 16
const ROUNDS = 12
const ROUND_MS = 300
/** Until the compiler, whose time counts as well, has nothing to do any more. */
const WARM_UP_MS = 2500
/** Of a streaming call, each answered. */
const MESSAGES = 50
const FRAME = Buffer.alloc(200, 'x')

const CASES = {
  unary: one,
  [`streaming, ${MESSAGES} messages`]: many,
} as const

interface Trial {
  readonly subject: ReporterSubject
  readonly child: ChildProcess
  readonly client: Client
}

/** Measures in turns, so that what else the machine does meets all alike; prints lower quartiles. */
export async function benchReporter(): Promise<void> {
  const told = { reports: 0, requests: 0 }
  const push = await startPush({
    admissibleRate: () => 1e6,
    receiver: {
      report({ counts }) {
        told.reports += 1
        for (const { requests } of counts) told.requests += requests
        return { outcome: 'accepted' }
      },
    },
  })
  const trials = await Promise.all(
    SUBJECTS.map((subject) => open({ subject, pushPort: push.port })),
  )
  try {
    console.log(
      `reporter in a grpc-js server, one connection, ${IN_FLIGHT} calls in flight, lower quartiles of ${ROUNDS} × ${ROUND_MS / 1000} s, CPU µs/call:`,
    )
    console.log(''.padEnd(26) + SUBJECTS.map((subject) => subject.padStart(11)).join(''))
    for (const [name, call] of Object.entries(CASES)) await compare(name, call, trials)
    console.log(`${told.requests} calls came in ${told.reports} reports`)
  } finally {
    for (const { child, client } of trials) {
      client.close()
      child.disconnect()
    }
    await push.close()
  }
}

async function compare(name: string, call: typeof one, trials: readonly Trial[]): Promise<void> {
  for (const trial of trials) await measure(trial, call, WARM_UP_MS)
  const rounds: Map<ReporterSubject, number>[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const each = new Map<ReporterSubject, number>()
    // Another one begins in each round, so that none profits from its place.
    const first = round % trials.length
    for (const trial of [...trials.slice(first), ...trials.slice(0, first)])
      each.set(trial.subject, await measure(trial, call, ROUND_MS))
    rounds.push(each)
  }
  const line = (title: string, told: (subject: ReporterSubject) => string) =>
    console.log(title.padEnd(26) + SUBJECTS.map((each) => told(each).padStart(11)).join(''))
  const cpu = (subject: ReporterSubject) => quiet(rounds.map((round) => round.get(subject) ?? NaN))
  line(name, (subject) => cpu(subject).toFixed(1))
  line('  over the bare one', (subject) => {
    const over = cpu(subject) - cpu('bare')
    return `${over < 0 ? '' : '+'}${over.toFixed(1)}`
  })
}

async function open(start: ReporterStart): Promise<Trial> {
  const child = fork(new URL('./reporterServer.ts', import.meta.url))
  child.send(start)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  return { subject: start.subject, child, client }
}

/** CPU µs of the server for a call. */
async function measure({ child, client }: Trial, call: typeof one, forMs: number): Promise<number> {
  const before = await cpuOf(child)
  const endMs = performance.now() + forMs
  let calls = 0
  const worker = async () => {
    for (; performance.now() < endMs; calls += 1) await call(client)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  return ((await cpuOf(child)) - before) / calls
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('usage')
  const [{ cpuMicroseconds }] = (await once(child, 'message')) as [{ cpuMicroseconds: number }]
  return cpuMicroseconds
}

function one(client: Client): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = DETECT.one
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, FRAME, (error) =>
      error === null ? resolve() : reject(error),
    )
  })
}

async function many(client: Client): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = DETECT.many
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
  for (let sent = 0; sent < MESSAGES; sent += 1) call.write(FRAME)
  call.end()
  let answers = 0
  call.on('data', () => (answers += 1))
  await once(call, 'end')
  if (answers !== MESSAGES) throw new Error(`${answers} answers to ${MESSAGES} messages`)
}

/** The lower quartile: what else the machine does can only add. */
function quiet(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 4)] ?? NaN
}

if (import.meta.main) await benchReporter()
