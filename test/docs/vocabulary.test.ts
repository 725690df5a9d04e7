/** docs/vocabulary.md names every type of the four systems that it promises to name. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** The types of the four systems that concern storage, as their sources and documentation name them. */
const TYPES = {
  Ranvier: `
    CompensationAutoTrigger CompensationContext CompensationHandle CompensationHook
    CompensationIdempotencyHandle CompensationIdempotencyStore CompensationRetryPolicy CompletionState
    ClusterManager DeadLetter DistributedError DistributedLock DistributedStore DlqPolicy DlqReader DlqSink
    DynamicPolicy Guard InMemoryCompensationIdempotencyStore InMemoryPersistenceStore Intervention
    InterventionEvent LeaderElection LockOptions MigrationRegistry PersistedTrace PersistenceAutoComplete
    PersistenceEnvelope PersistenceHandle PersistenceStore PersistenceTraceId
    PostgresCompensationIdempotencyStore PostgresPersistenceStore RedisCompensationIdempotencyStore
    RedisPersistenceStore ReplayEngine ReplayRecoveryResult ResumeCursor RetryPolicy SagaPolicy SagaStack`,
  sayiir: `
    AvailableTask BackendError Cancellation CodecMismatch MissingMagic PauseRequest PersistentBackend
    PooledWorker PrepareRunOutcome RunConflict SignalKind SignalRequest SignalStore SnapshotStore TaskClaim
    TaskClaimStore TaskHint TaskResultStore TaskRetryState TaskWakeupHint Truncated UnknownCodec
    UnsupportedVersion WorkflowSnapshot WorkflowStatus`,
  enact: `
    CheckpointStore EventLogEntry EventStore ExecutionEventData ExecutionId ExecutionSnapshot ExecutionState
    InMemoryMessageStore MessageStore StateStore StateStoreJsonExt StepId StorageBackend StoredEvent
    TenantContext TenantId UserId VectorStore WaitReason`,
  distri: `
    CheckpointMeta CheckpointStrategy StepResult TaskStatus WorkflowDefinition WorkflowExecutionState
    WorkflowRunStore WorkflowStateStore WorkflowStepExecutionStore WorkflowStepState WorkflowStore
    WorkflowTriggerRegistry`,
}

const page = readFileSync('docs/vocabulary.md', 'utf8')
const named = new Set([...page.matchAll(/`(\w+)(?:\.\w+)?`/g)].map(([, name]) => name))

const wordsOf = (text: string): readonly string[] => text.trim().split(/\s+/)

test.each(Object.entries(TYPES))('names every type of %s', (_, types) => {
  expect(wordsOf(types).filter((name) => !named.has(name))).toEqual([])
})
