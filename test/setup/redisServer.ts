import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { required } from './programs.ts'
import { eventually, freePort, start, temporaryFolder } from './running.ts'

export interface RedisServer {
  readonly host: '127.0.0.1'
  readonly port: number
  /** A connection as the administrator; closed with the server. */
  readonly admin: Redis
  /** Stops it from running, without its connections being closed. */
  suspend(): void
  resume(): void
  stop(): Promise<void>
}

export interface RedisServerOptions {
  /** Lines of redis.conf. */
  readonly config?: readonly string[]
  readonly mode?: 'plain' | 'sentinel' | 'cluster'
  readonly port?: number
  readonly password?: string
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
}

/** Starts a real redis-server on 127.0.0.1 and a free port, without persistence, and waits until it answers. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = temporaryFolder()
  const port = options.port ?? (await freePort())
  const file = join(folder.path, 'redis.conf')
  writeFileSync(file, configOf(options, port, folder.path))
  const program = start(required('redis-server'), [
    file,
    ...(options.mode === 'sentinel' ? ['--sentinel'] : []),
  ])
  const admin = new Redis({
    host: '127.0.0.1',
    port,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => 20,
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.tls === undefined ? {} : { tls: options.tls }),
  })
  admin.on('error', () => undefined)
  await eventually('an answer of redis-server', async () => {
    const answer = await admin.ping()
    if (answer !== 'PONG') throw new Error(program.output())
  })
  return {
    host: '127.0.0.1',
    port,
    admin,
    suspend: () => program.signal('SIGSTOP'),
    resume: () => program.signal('SIGCONT'),
    async stop() {
      admin.disconnect()
      await program.stop()
      folder.remove()
    },
  }
}

function configOf(options: RedisServerOptions, port: number, folder: string): string {
  const { mode = 'plain', tls, password } = options
  const lines = [
    tls === undefined ? `port ${port}` : `port 0\ntls-port ${port}`,
    'bind 127.0.0.1',
    'protected-mode no',
    `dir ${folder}`,
    ...(mode === 'sentinel' ? [] : ['save ""', 'appendonly no', 'repl-diskless-sync-delay 0']),
    ...(mode === 'cluster'
      ? ['cluster-enabled yes', 'cluster-config-file nodes.conf', 'cluster-node-timeout 2000']
      : []),
    ...(password === undefined ? [] : [`requirepass ${password}`]),
    ...(options.config ?? []),
  ]
  return `${lines.join('\n')}\n`
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  stop(): Promise<void>
}

/** Three masters that share the slots evenly, without replicas. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: 3 }, async () => startRedis({ mode: 'cluster', port: await freePort() })),
  )
  const ranges = [
    [0, 5460],
    [5461, 10922],
    [10923, 16383],
  ] as const
  const [first] = nodes
  for (const [index, node] of nodes.entries()) {
    const [from, to] = ranges[index] ?? [0, 0]
    await node.admin.call('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))
    await node.admin.call('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to))
  }
  await eventually(
    'a whole cluster',
    async () => {
      const told = await Promise.all(nodes.map(({ admin }) => admin.call('CLUSTER', 'INFO')))
      const infos = told.map(String)
      // Again and again: on a busy machine a node gives up a handshake that was not answered in time.
      for (const [index, info] of infos.entries())
        if (index > 0 && !info.includes('cluster_known_nodes:3'))
          await nodes[index]?.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(first?.port))
      const apart = infos.find((info) => !/cluster_state:ok[^]*cluster_known_nodes:3/.test(info))
      if (apart !== undefined) throw new Error(apart)
    },
    30_000,
  )
  return {
    nodes,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()))
    },
  }
}

export interface RedisSentinels {
  readonly master: RedisServer
  readonly replica: RedisServer
  readonly sentinels: readonly RedisServer[]
  stop(): Promise<void>
}

/** A master with a replica, and three Sentinels that know each other and notice within half a second. */
export async function startRedisSentinels(name: string): Promise<RedisSentinels> {
  const master = await startRedis()
  const replica = await startRedis({ config: [`replicaof 127.0.0.1 ${master.port}`] })
  const config = [
    `sentinel monitor ${name} 127.0.0.1 ${master.port} 2`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 3000`,
  ]
  const sentinels = await Promise.all([1, 2, 3].map(() => startRedis({ mode: 'sentinel', config })))
  await eventually('Sentinels that know each other', async () => {
    for (const { admin } of sentinels) {
      const told = (await admin.call('SENTINEL', 'MASTER', name)) as string[]
      const field = (of: string) => told[told.indexOf(of) + 1]
      if (field('num-other-sentinels') !== '2' || field('num-slaves') !== '1')
        throw new Error(told.join(' '))
    }
  })
  return {
    master,
    replica,
    sentinels,
    async stop() {
      await Promise.all([master, replica, ...sentinels].map((server) => server.stop()))
    },
  }
}
