/** Completion scripts, made of the commands themselves. @module */
import type { Command } from 'commander'

const flagsOf = (command: Command): string[] => command.options.flatMap(({ long }) => long ?? [])

/**
 * The script for a shell.
 *
 * @param shell - `bash`, `zsh` or `fish`
 * @param program - whose commands are completed
 */
export function completionFor(shell: string, program: Command): string {
  const everywhere = flagsOf(program)
  const commands = program.commands.map((command) => ({
    name: command.name(),
    about: command.description(),
    flags: [...flagsOf(command), ...everywhere].join(' '),
  }))
  const names = commands.map(({ name }) => name).join(' ')
  if (shell === 'fish') {
    return commands
      .flatMap(({ name, about, flags }) => [
        `complete -c holdfast -n __fish_use_subcommand -f -a ${name} -d ${quoted(about)}`,
        ...flags
          .split(' ')
          .map((flag) => `complete -c holdfast -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}`),
      ])
      .join('\n')
  }
  const bash = `_holdfast() {
  local word="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}"
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W ${quoted(names)} -- "$word")); return; fi
  case "$command" in
${commands.map(({ name, flags }) => `    ${name}) COMPREPLY=($(compgen -W ${quoted(flags)} -- "$word")) ;;`).join('\n')}
  esac
}
complete -o default -F _holdfast holdfast`
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bash}` : bash
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
