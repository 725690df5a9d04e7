/** What the numbers were measured on. */
import { statfsSync } from 'node:fs'
import { cpus, platform, release, totalmem } from 'node:os'

export interface Machine {
  readonly platform: string
  readonly cpus: number
  readonly memoryGigabytes: number
  readonly fileSystem: string
}

/** Magic numbers of `statfs`; in memory there is no disk to measure. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
}

/** @param place - a directory of the file system that is written to */
export function machineAt(place: string): Machine {
  const { type } = statfsSync(place)
  return {
    platform: `${platform()} ${release().split('.').slice(0, 2).join('.')}`,
    cpus: cpus().length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    fileSystem: FILE_SYSTEMS[type] ?? `file system 0x${type.toString(16)}`,
  }
}
