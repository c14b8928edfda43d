// docs/performance.md, from answers: the machine, how it was measured, and for each question its words, picture and tables.
//
// The words of a question are the comment that opens its file: nothing is written twice. Published figures of others come from
// anchors.ts and stand below ours.
import { ANCHORS } from './anchors.ts';
import type { Answer } from './answer.ts';
import { percent, tables, verdictWords } from './words.ts';

/** Chapters, and which questions are in them: the first that fits. */
const CHAPTERS: readonly (readonly [title: string, names: RegExp])[] = [
  ['Forward', /forward/],
  ['Receive', /_rx$|^irq_path$/],
  ['Transmit', /_tx$|^gen|netconsole_line/],
  ['Overload and interrupts', /livelock|moderation|coalesce|interrupt|idle/],
  ['Latency', /latency/],
  ['Threads', /thread|smp|fanout|rps/],
  ['Heap and pauses', /alloc|gc_pause|gro/],
  ['Simulation', /sim/],
  ['More', /./],
];

/** `folder`: where the page finds the pictures. Throws RangeError without an answer. */
export function page(answers: readonly Answer[], folder: string): string {
  const newest = answers.reduce((a, b) => (a.date > b.date ? a : b));
  const chapters = CHAPTERS.map(([title, names]) => ({
    title,
    answers: answers.filter(({ name }) => CHAPTERS.find(([, pattern]) => pattern.test(name))![1] === names),
  })).filter((chapter) => chapter.answers.length > 0);
  return [
    '# Performance',
    '',
    '<!-- Written by `npm run bench -- --publish`. Change the text in bench/, not here. -->',
    '',
    'How fast netpoll is, against the tools that one would use instead. `npm run bench` asks all questions on your machine,',
    '`npm run bench NAME` one of them; `npm run bench -- --publish` writes this page from the newest answers.',
    '',
    ...machineWords(answers, newest),
    ...METHOD,
    '## All questions',
    '',
    '| question | limits |',
    '| --- | --- |',
    ...chapters.flatMap((chapter) =>
      chapter.answers.map(
        ({ name, question, figures }) => `| [${name}](#${name}): ${cell(question)} | ${cell(verdictWords(figures))} |`,
      ),
    ),
    '',
    ...chapters.flatMap(({ title, answers: inside }) => [
      `## ${title}`,
      '',
      ...inside.flatMap((answer) => section(answer, folder)),
    ]),
  ].join('\n');
}

const METHOD: readonly string[] = [
  '## How far to trust it',
  '',
  '- **Ratios of one run.** Ours and the other take turns, A B, B A, A B, at least five rounds after one that is thrown away. A ratio is the',
  '  median of the rounds; the least and the greatest stand beside it, and are the whiskers of the pictures.',
  '- **Absolute figures are of this machine** and, where others work on it, of that hour. Do not compare them between runs.',
  '- **CPU time a frame** is the most reliable figure: the scheduler counts it for all threads of a process, and who else runs changes it little.',
  '- **A limit is what was asked for before it was measured.** One that is missed is shown as missed, with its number, and ends the run with 1.',
  "- A veth has no card: the sender's processor does the kernel's half of receiving. Zero copy and hardware queues are not measured here.",
  '- "Others" below is what processes that did not belong to the question took of the processors meanwhile, the kernel\'s own threads included.',
  '',
];

function machineWords(answers: readonly Answer[], newest: Answer): string[] {
  const { processor, processors, memoryGiB, virtual, system, kernel, node, koffi } = newest.machine;
  const others = answers.map(({ load }) => load.others).filter((share): share is number => Number.isFinite(share));
  const dates = answers.map(({ date }) => date.slice(0, 10)).sort();
  const [first, last] = [dates[0]!, dates.at(-1)!];
  const differ = answers.filter(({ machine }) => machine.processor !== processor || machine.kernel !== kernel);
  return [
    '## The machine',
    '',
    '| | |',
    '| --- | --- |',
    `| processors | ${processors} x ${processor}${virtual ? ', virtual' : ''} |`,
    `| memory | ${memoryGiB} GiB |`,
    `| system | ${system}, Linux ${kernel} |`,
    `| Node.js | ${node}, koffi ${koffi} |`,
    `| asked | ${first === last ? first : `${first} to ${last}`} |`,
    ...(others.length === 0
      ? []
      : [
          `| others meanwhile | ${percent(Math.min(...others))} to ${percent(Math.max(...others))} of the processors |`,
        ]),
    '',
    ...(differ.length === 0
      ? []
      : [`Answered on another machine: ${differ.map(({ name }) => name).join(', ')} (see the JSON files).`, '']),
  ];
}

function section({ name, question, about, figures, load, date, machine }: Answer, folder: string): string[] {
  const drawn = figures.some(({ kind }) => kind !== 'unanswered');
  const others = Number.isFinite(load.others) ? `, others had ${percent(load.others!)} of the processors` : '';
  const anchors = ANCHORS.filter((anchor) => anchor.questions.test(name));
  return [
    `### ${name}`,
    '',
    ...aboutMarkdown(about),
    '',
    ...(drawn ? [`![${question.replace(/[[\]]/g, '')}](${folder}/${name}.svg)`, ''] : []),
    ...tables(figures).flatMap((table) => [table, '']),
    `Limits: ${verdictWords(figures)}.`,
    '',
    ...(anchors.length === 0
      ? []
      : [
          'Published by others, on their machines:',
          '',
          ...anchors.map(({ says, source }) => `- ${says} (${source})`),
          '',
        ]),
    `<sub>[${name}.json](${folder}/${name}.json): ${date.slice(0, 16).replace('T', ' ')} UTC, commit ${machine.commit}, ${load.seconds.toFixed(0)} s${others}.</sub>`,
    '',
  ];
}

/** Paragraphs and lists as they are; what begins with an indented line (pictures, columns of words) keeps its form. */
export function aboutMarkdown(about: string): string[] {
  const found: string[] = [];
  for (const block of about.split(/\n{2,}/)) {
    if (found.length > 0) found.push('');
    if (!/^ {2,}\S/.test(block)) {
      found.push(block);
      continue;
    }
    const rows = block.split('\n');
    const indent = Math.min(...rows.map((row) => row.search(/\S/)));
    found.push(['```text', ...rows.map((row) => row.slice(indent)), '```'].join('\n'));
  }
  return found;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
