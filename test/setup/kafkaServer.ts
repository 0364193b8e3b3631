/** Real Kafka brokers in KRaft mode on 127.0.0.1, with data that is thrown away. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { kafkaJars } from './kafka/jars.ts'
import { required } from './programs.ts'
import type { Folder, Running } from './running.ts'
import { freePort, start, temporaryFolder } from './running.ts'

export interface KafkaServer {
  /** Listeners without TLS and credentials; whoever comes there may do anything. */
  readonly brokers: readonly string[]
  /** Listeners as `secured` describes them; empty without it. */
  readonly secured: readonly string[]
  /** In the order of their ids, which begin at 1. */
  readonly nodes: readonly KafkaNode[]
  stop(): Promise<void>
}

export interface KafkaNode {
  readonly id: number
  kill(): Promise<void>
  /** Starts it again after `kill`, with the data it had. */
  restart(): Promise<void>
  /** Stops it from running, without its connections being closed. */
  suspend(): void
  resume(): void
}

export interface KafkaOptions {
  readonly version?: string
  /** 1, or 3 with everything replicated thrice. */
  readonly nodes?: 1 | 3
  /** A second listener whose callers must obey the ACLs; `properties` are those of the listener `secured`. */
  readonly secured?: {
    readonly protocol: 'SSL' | 'SASL_SSL' | 'SASL_PLAINTEXT'
    /** Without the prefix `listener.name.secured.`. */
    readonly properties: Readonly<Record<string, string>>
    /** Port that clients are told to come to, in place of the broker's own: that of a proxy before it. */
    readonly advertisedPort?: number
    /** Users of SCRAM, as `mechanism=[name=alice,password=secret]`. */
    readonly scram?: readonly string[]
  }
  readonly properties?: Readonly<Record<string, string>>
}

const CLUSTER_ID = 'dGlkZWxpbmUtdGVzdC1rYQ'
const LOG4J = join(import.meta.dirname, 'kafka', 'log4j2.properties')
const JVM = [
  '-Xms96m',
  '-Xmx384m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
  `-Dlog4j2.configurationFile=${LOG4J}`,
]
const START_DEADLINE_MS = 120_000

/** Resolves when all brokers serve, after about five seconds. */
export async function startKafka(options: KafkaOptions = {}): Promise<KafkaServer> {
  const jars = kafkaJars(options.version)
  const count = options.nodes ?? 1
  const folder = temporaryFolder()
  const ports = await Promise.all(
    Array.from({ length: count }, async () => ({
      plain: await freePort(),
      controller: await freePort(),
      secured: await freePort(),
    })),
  )
  const nodes = ports.map((_, index) => new Node({ id: index + 1, jars, folder, ports, options }))
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.kill()))
    folder.remove()
  }
  try {
    await Promise.all(nodes.map((node) => node.first()))
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return {
    brokers: ports.map(({ plain }) => `127.0.0.1:${plain}`),
    secured:
      options.secured === undefined ? [] : ports.map(({ secured }) => `127.0.0.1:${secured}`),
    nodes,
    stop,
  }
}

interface Ports {
  readonly plain: number
  readonly controller: number
  readonly secured: number
}

interface NodeSettings {
  readonly id: number
  readonly jars: string
  readonly folder: Folder
  readonly ports: readonly Ports[]
  readonly options: KafkaOptions
}

class Node implements KafkaNode {
  readonly id: number
  readonly #settings: NodeSettings
  readonly #file: string
  #program: Running | undefined

  constructor(settings: NodeSettings) {
    this.id = settings.id
    this.#settings = settings
    this.#file = join(settings.folder.path, `server-${this.id}.properties`)
  }

  async first(): Promise<void> {
    writeFileSync(this.#file, propertiesOf(this.#settings))
    const { jars, options } = this.#settings
    const scram = options.secured?.scram ?? []
    const format = ['format', '-t', CLUSTER_ID, '-c', this.#file]
    await promisify(execFile)(required('java'), [
      ...[...JVM, '-cp', jars, 'kafka.tools.StorageTool', ...format],
      ...scram.flatMap((user) => ['--add-scram', user]),
    ])
    await this.restart()
  }

  async restart(): Promise<void> {
    const program = start(required('java'), [
      ...JVM,
      ...['-cp', this.#settings.jars, 'kafka.Kafka', this.#file],
    ])
    this.#program = program
    await program.says('Kafka Server started', START_DEADLINE_MS)
  }

  async kill(): Promise<void> {
    // A suspended process cannot die before it goes on.
    this.#program?.signal('SIGCONT')
    await this.#program?.stop('SIGKILL')
  }

  suspend(): void {
    this.#program?.signal('SIGSTOP')
  }

  resume(): void {
    this.#program?.signal('SIGCONT')
  }
}

function propertiesOf({ id, folder, ports, options }: NodeSettings): string {
  const own = ports[id - 1]
  if (own === undefined) throw new Error(`no ports for node ${id}`)
  const { secured } = options
  const replicas = String(ports.length)
  const inSync = String(Math.min(2, ports.length))
  const plain = `PLAINTEXT://127.0.0.1:${own.plain}`
  const listeners = [plain]
  const advertised = [plain]
  if (secured !== undefined) {
    listeners.push(`SECURED://127.0.0.1:${own.secured}`)
    advertised.push(`SECURED://127.0.0.1:${secured.advertisedPort ?? own.secured}`)
  }
  const protocols = ['PLAINTEXT:PLAINTEXT', 'CONTROLLER:PLAINTEXT']
  if (secured !== undefined) protocols.push(`SECURED:${secured.protocol}`)
  const voters = ports.map(({ controller }, index) => `${index + 1}@127.0.0.1:${controller}`)
  const all: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': String(id),
    'controller.quorum.voters': voters.join(','),
    'controller.listener.names': 'CONTROLLER',
    listeners: [...listeners, `CONTROLLER://127.0.0.1:${own.controller}`].join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': protocols.join(','),
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': join(folder.path, `data-${id}`),
    'num.network.threads': '2',
    'num.io.threads': '2',
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': '2',
    'group.initial.rebalance.delay.ms': '0',
    // Enough for tests to see a dead member leave within seconds.
    'group.min.session.timeout.ms': '1000',
    'broker.session.timeout.ms': '3000',
    'controller.quorum.election.timeout.ms': '500',
    'auto.create.topics.enable': 'false',
    'log.flush.interval.messages': '9223372036854775807',
    'file.delete.delay.ms': '500',
    ...(secured === undefined
      ? {}
      : {
          'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
          'super.users': 'User:ANONYMOUS',
          ...prefixed('listener.name.secured.', secured.properties),
        }),
    ...options.properties,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function prefixed(prefix: string, properties: Readonly<Record<string, string>>) {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [`${prefix}${name}`, value]),
  )
}
