/** Defines workflows: a name, a version, and schemas of the input and the messages. @module */
import { requireGiven, requireOptions } from '../core/arguments.ts'
import { HoldfastError, invalid } from '../core/errors.ts'
import { encodeId } from '../core/keys.ts'
import { requireName } from './ids.ts'
import type { AnySchema, AnyWorkflow, Context, Messages, Schema, Workflow, WorkflowDefinition } from './types.ts'

/** The type of the values that a schema returns. */
export type OutputOf<S> = S extends Schema<infer _, infer Out> ? Out : unknown

/** The payload types of declared messages. If none are declared, every message is accepted. */
export type PayloadsOf<M> = string extends keyof M
  ? Messages
  : [keyof M] extends [never]
    ? Messages
    : { readonly [K in keyof M]: OutputOf<M[K]> }

/** Options of {@link defineWorkflow}. */
export interface DefinitionOptions<S extends AnySchema | undefined, M extends Readonly<Record<string, AnySchema>>> {
  /** 1 to 200 bytes of text. */
  readonly name: string
  /** The version of the code. A run keeps the version that it was started with; workers of other versions skip it. */
  readonly version?: string
  /** The schema of the input. It is checked when a run is started. */
  readonly input?: S
  /** The schemas of messages, by name. A message is checked when it is sent. */
  readonly messages?: M
}

/**
 * Defines a workflow.
 *
 * @param options - name, version and schemas
 * @param fn - the workflow. It is called from its beginning each time the run continues, and gets the results of earlier
 *   steps from the log. So its code outside steps must be deterministic
 * @returns the workflow, for `run`, `start`, `work` and `drain`
 * @throws `INVALID_ARGUMENT` for a malformed name or version
 *
 * @example
 * ```ts
 * import { createHoldfast, memory } from 'holdfast'
 * import { defineWorkflow, run } from 'holdfast/run'
 *
 * const greet = defineWorkflow({ name: 'greet' }, async (ctx, input: { name: string }) => {
 *   return ctx.step('greet', () => `Hello, ${input.name}`)
 * })
 * const holdfast = createHoldfast({ driver: memory() })
 * console.log(await run(holdfast, greet, { runId: 'r1', input: { name: 'Ada' } })) // { status: 'completed', result: 'Hello, Ada' }
 * ```
 */
export function defineWorkflow<
  I,
  R,
  M extends Readonly<Record<string, AnySchema>> = Readonly<Record<string, AnySchema>>,
>(
  options: DefinitionOptions<undefined, M>,
  fn: (context: Context<I, PayloadsOf<M>>, input: I) => Promise<R>,
): WorkflowDefinition<I, R, PayloadsOf<M>>
export function defineWorkflow<
  S extends AnySchema,
  R,
  M extends Readonly<Record<string, AnySchema>> = Readonly<Record<string, AnySchema>>,
>(
  options: DefinitionOptions<S, M> & { readonly input: S },
  fn: (context: Context<OutputOf<S>, PayloadsOf<M>>, input: OutputOf<S>) => Promise<R>,
): WorkflowDefinition<OutputOf<S>, R, PayloadsOf<M>>
export function defineWorkflow(
  options: DefinitionOptions<AnySchema | undefined, Readonly<Record<string, AnySchema>>>,
  fn: Workflow<unknown, never>,
): WorkflowDefinition<never> {
  const known = { name: true, version: true, input: true, messages: true } as const
  const { name, version, input, messages } = requireOptions(requireGiven(options, 'options'), known)
  requireName(name, 'workflow')
  if (version !== undefined) encodeId(version, 'version')
  if (typeof fn !== 'function') throw invalid(`fn must be the function of the workflow, not ${typeof fn}`)
  return { name, version, input, messages, fn }
}

/**
 * The definition that runs a run: that of the run's version, or else one without a version. For a run without a version, the
 * last of its name.
 */
export function definitionFor(
  workflows: readonly AnyWorkflow[],
  {
    workflow,
    definitionVersion,
  }: { readonly workflow?: string | undefined; readonly definitionVersion?: string | undefined },
): AnyWorkflow | undefined {
  const same = workflows.filter(({ name }) => name === workflow)
  if (definitionVersion === undefined) return same.at(-1)
  return same.find(({ version }) => version === definitionVersion) ?? same.find(({ version }) => version === undefined)
}

/** Makes a definition for a bare function. */
export const bare = <R, I>(
  name: string,
  version: string | undefined,
  fn: Workflow<R, I>,
): WorkflowDefinition<I, R> => ({
  name,
  version,
  input: undefined,
  messages: undefined,
  fn,
})

/**
 * Checks a value against a schema.
 *
 * @param what - names the value, for the message
 * @returns the value that the schema returns; without a schema, the value itself
 * @throws `INVALID_ARGUMENT` with the issues, or with what the schema threw as its cause
 */
export async function checked(schema: AnySchema | undefined, value: unknown, what: string): Promise<unknown> {
  if (!schema) return value
  const found = await validated(schema, value, what)
  if (found.issues === undefined) return found.value
  const issues = found.issues.map(({ message, path = [] }) => [...path.map((it) => pathOf(it)), message].join(': '))
  throw invalid(`${what} is not what the workflow takes: ${issues.join('; ')}`)
}

type Verdict = Awaited<ReturnType<AnySchema['~standard']['validate']>>

async function validated(schema: AnySchema, value: unknown, what: string): Promise<Verdict> {
  try {
    return await schema['~standard'].validate(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new HoldfastError('INVALID_ARGUMENT', `The schema of ${what} failed: ${reason}`, { cause })
  }
}

const pathOf = (it: unknown): string => String(typeof it === 'object' && it !== null && 'key' in it ? it.key : it)
