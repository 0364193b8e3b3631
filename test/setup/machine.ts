/**
 * Vitest's global set-up: the real servers that the tests start must be on this machine. Nothing is skipped
 * for want of one: it is installed, or the run ends with a line that says what to do.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { KAFKA_VERSIONS, kafkaJars } from './kafka/jars.ts'
import { binary, PROGRAMS } from './programs.ts'

const APT = '/usr/bin/apt-get'

/** While this file is there and ends with 101, Debian packages start no system service when installed. */
const POLICY = '/usr/sbin/policy-rc.d'

export function setup(): void {
  ensurePrograms()
  // Here, one after the other: Maven's own store takes no two at a time.
  for (const version of KAFKA_VERSIONS) kafkaJars(version)
}

function ensurePrograms(): void {
  const missing = PROGRAMS.filter((program) => binary(program.name) === undefined)
  if (missing.length === 0) return
  const packages = [...new Set(missing.map((program) => program.debianPackage))]
  if (canInstall()) install(packages)
  const still = missing.filter((program) => binary(program.name) === undefined)
  if (still.length > 0)
    throw new Error(
      still
        .map(
          ({ name, debianPackage, variable }) =>
            `the tests need ${name}: install the package ${debianPackage}, or set ${variable} to its path`,
        )
        .join('; '),
    )
}

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && existsSync(APT)
}

function install(packages: readonly string[]): void {
  process.stdout.write(`installing for the tests: ${packages.join(' ')}\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const ownPolicy = !existsSync(POLICY)
  if (ownPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    for (const step of [['update'], ['install', '-y', '--no-install-recommends', ...packages]])
      execFileSync(APT, step, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true })
  }
}
