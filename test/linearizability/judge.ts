/** Everything that is wrong with a history. */
import { counter, faultsOfLog, isLinearizable, register } from './checker.ts'
import { type History, merge } from './history.ts'

export function judge(histories: readonly History[]): string[] {
  const { registers, counter: sums, log, faults } = merge(histories)
  const names = Object.keys(registers).filter((name) => !isLinearizable(registers[name]!, register))
  return [
    ...faults,
    ...names.map((name) => `${name} is not linearizable`),
    ...(isLinearizable(sums, counter) ? [] : ['The counter is not linearizable']),
    ...faultsOfLog(log),
  ]
}
