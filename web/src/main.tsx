/** Draws the page and connects it. */

import { render } from 'preact';
import { App } from './app.tsx';
import { start } from './feed.ts';
import './style.css';
import './log.css';
import './report.css';
import './narrow.css';

render(<App />, document.getElementById('app')!);
start();
