/** What to show: a text, a level; and whether to follow. */

import { count, levelNames } from './format.ts';
import { follow, kept, level, refilter, shown, text } from './log.ts';

const LEVELS = [7, 6, 5, 4, 3, 2] as const;

export function Toolbar() {
  return (
    <search class="toolbar">
      <input
        id="search"
        type="search"
        placeholder="Search text"
        aria-label="Search text"
        title="Press / to search"
        maxLength={256}
        autocomplete="off"
        spellcheck={false}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          refilter();
        }}
      />
      <label class="level-filter">
        <span>Level</span>
        <select
          value={level.value}
          onChange={(event) => {
            level.value = Number(event.currentTarget.value);
            refilter();
          }}
        >
          {LEVELS.map((n) => (
            <option key={n} value={n}>
              {n === 7 ? 'all' : `${levelNames[n]}${n === 2 ? ' and worse' : ' and above'}`}
            </option>
          ))}
        </select>
      </label>
      <span class="shown">
        {shown.value === kept.value ? count(kept.value) : `${count(shown.value)} of ${count(kept.value)}`}
      </span>
      <button
        type="button"
        class="quiet follow"
        aria-pressed={follow.value}
        title="Press f to follow or to stay"
        onClick={() => {
          follow.value = !follow.value;
        }}
      >
        {follow.value ? 'Following' : 'Follow'}
      </button>
    </search>
  );
}
