/** One message: time, host, level, the sender's time, text. A click shows all that is known of it. */

import { useState } from 'preact/hooks';
import type { Entry } from '../../src/collector/store.ts';
import { bootSeconds, levelName, timeOfDay } from './format.ts';
import { host, text, visibleText } from './log.ts';

export function Row({ entry }: { entry: Entry }) {
  const [open, setOpen] = useState(false);
  const toggle = (): void => {
    // A click that ends a selection is no wish for details.
    if (window.getSelection()?.isCollapsed !== false) setOpen(!open);
  };
  const level = entry.level === null ? 'none' : levelName(entry.level);
  return (
    <div class={`row level-${level}`}>
      {/* biome-ignore lint/a11y/useSemanticElements: a button would forbid to select the text */}
      <div
        class="line"
        role="button"
        tabIndex={0}
        aria-expanded={open}
        onClick={toggle}
        onKeyDown={(event) => {
          if (event.key === 'Enter') setOpen(!open);
        }}
      >
        <time class="time">{timeOfDay(entry.received)}</time>
        {host.value === null && <span class="host">{entry.host}</span>}
        <span class="level">{entry.format === 'unparsed' ? '?' : levelName(entry.level)}</span>
        <span class="boot">{entry.usec === null ? '' : bootSeconds(entry.usec)}</span>
        <span class="text">{marked(visibleText(entry), text.value)}</span>
      </div>
      {open && <Details entry={entry} />}
    </div>
  );
}

/** The text with each place of the search marked. */
function marked(whole: string, search: string) {
  if (search === '') return whole;
  const parts = [];
  const lower = whole.toLowerCase();
  const needle = search.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0 && parts.length < 200; at = lower.indexOf(needle, from)) {
    parts.push(whole.slice(from, at), <mark key={at}>{whole.slice(at, at + needle.length)}</mark>);
    from = at + needle.length;
  }
  return [...parts, whole.slice(from)];
}

function Details({ entry }: { entry: Entry }) {
  const fields: [string, string | null][] = [
    ['received', entry.received],
    ['host', entry.host],
    ['sequence', entry.seq],
    ['facility', entry.facility === null ? null : `${entry.facility}`],
    ['release', entry.release],
    ['format', entry.cont === true ? `${entry.format}, continuation` : entry.format],
    ...Object.entries(entry.dict),
  ];
  return (
    <dl class="details">
      {fields.map(([name, value]) =>
        value === null ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}
