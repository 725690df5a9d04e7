/**
 * Operations over any driver: retention, backup, restore, copy, verification, counts and health. They use bounded
 * memory, report progress, and can be aborted with a signal.
 *
 * @module
 */
export { type BackupOptions, type BackupSummary, backup } from './backup.ts'
export { type CopyOptions, type CopyResult, copy } from './copy.ts'
export type { BackupFault } from './format.ts'
export { type Finding, type HealthOptions, type HealthReport, health } from './health.ts'
export type { FillOptions, FillResult } from './mirror.ts'
export type { OperationOptions, Progress, StoreWideOptions } from './options.ts'
export type { Problem, ProblemKind } from './problems.ts'
export { type PurgeOptions, type PurgeResult, purge } from './purge.ts'
export type { BackupSource } from './read-backup.ts'
export {
  type RestoreOptions,
  type RestoreResult,
  type VerifiedBackup,
  type VerifyBackupOptions,
  restore,
  verifyBackup,
} from './restore.ts'
export { type Stats, type StatsOptions, type TenantStats, stats } from './stats.ts'
export { type VerifyOptions, type VerifyReport, verify } from './verify.ts'
