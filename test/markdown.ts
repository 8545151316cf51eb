import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** A Markdown file without its blocks of code. */
export const proseOf = (path: string): string => readFileSync(path, 'utf8').replaceAll(/^```[^]*?^```/gm, '');

/** The path, and the heading if it names one, that each link of a Markdown file to another file leads to. */
export function linksOf(path: string): { target: string; anchor: string | undefined }[] {
  return [...proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link]) => link)
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [to = '', anchor] = link.split('#');
      return { target: to === '' ? path : join(dirname(path), to), anchor };
    });
}
