/**
 * netpoll: the command line program. One command a file.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addCollect } from './collect.ts';
import { addDoctor } from './doctor.ts';
import { addDump } from './dump.ts';
import { addForward } from './forward.ts';
import { addGen } from './gen.ts';
import { addLab } from './lab.ts';
import { addLink } from './link.ts';
import { addLs } from './ls.ts';
import { addNetconsole } from './netconsole.ts';
import { addPong } from './pong.ts';
import { addSend } from './send.ts';
import { addStart } from './start.ts';
import { addSysrq } from './sysrq.ts';
import { EXIT_USAGE } from './terminal.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('netpoll')
  .description('The console that outlives the crash: netpoll and netconsole in TypeScript, and a collector for them.')
  .version(version, '-V, --version')
  .showHelpAfterError('(netpoll --help shows the commands, netpoll COMMAND --help its options and examples)')
  .configureHelp({ sortSubcommands: false })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));

addStart(program);
addCollect(program);
addSend(program);
addNetconsole(program);
addPong(program);
addForward(program);
addDump(program);
addGen(program);
addDoctor(program);
addSysrq(program);
addLab(program);
addLs(program);
addLink(program);
for (const command of program.commands) {
  command.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE)).showHelpAfterError();
}
program.parse();
