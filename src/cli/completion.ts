/** Completion scripts, generated from the commands. @module */
import type { Command } from './libraries.ts'

/** Characters at which bash splits words, besides spaces. */
const SPLIT = ['=', ':']
const flagsOf = (command: Command): string[] => command.options.flatMap(({ long }) => long ?? [])

/**
 * Generates the completion script for a shell.
 *
 * @param shell - `bash`, `zsh` or `fish`
 * @param program - the program whose commands are completed
 */
export function completionFor(shell: string, program: Command): string {
  const everywhere = flagsOf(program)
  const commands = program.commands.map((command) => ({
    name: command.name(),
    about: command.description(),
    flags: [...flagsOf(command), ...everywhere].join(' '),
  }))
  const names = commands.map(({ name }) => name).join(' ')
  // The word after an option with a value is not a command.
  const valued = program.options.filter(({ required }) => required).flatMap(({ short, long }) => [short!, long!])
  if (shell === 'fish') {
    return [
      `function __holdfast_command
  set -l words (commandline -opc)
  set -e words[1]
  while set -q words[1]
    switch $words[1]
      case ${valued.join(' ')}
        set -e words[1]
      case '-*'
      case '*'
        echo $words[1]
        return 0
    end
    set -e words[1]
  end
  return 1
end`,
      ...everywhere.map((flag) => `complete -c holdfast -n 'not __holdfast_command >/dev/null' -l ${flag.slice(2)}`),
      ...commands.flatMap(({ name, about, flags }) => [
        `complete -c holdfast -n 'not __holdfast_command >/dev/null' -f -a ${name} -d ${quoted(about)}`,
        ...flags
          .split(' ')
          .map((flag) => `complete -c holdfast -n 'contains -- ${name} (__holdfast_command)' -l ${flag.slice(2)}`),
      ]),
    ].join('\n')
  }
  const bash = `_holdfast() {
  local word="\${COMP_WORDS[COMP_CWORD]}" command='' before='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$before" in ${[...valued, ...SPLIT].join('|')}) before="\${COMP_WORDS[i]}"; continue ;; esac
    before="\${COMP_WORDS[i]}"
    case "$before" in ${commands.map(({ name }) => name).join('|')}) command="$before"; break ;; esac
  done
  case "$command" in
    '') COMPREPLY=($(compgen -W ${quoted(`${names} ${everywhere.join(' ')}`)} -- "$word")) ;;
${commands.map(({ name, flags }) => `    ${name}) COMPREPLY=($(compgen -W ${quoted(flags)} -- "$word")) ;;`).join('\n')}
  esac
}
complete -o default -F _holdfast holdfast`
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash}` : bash
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
