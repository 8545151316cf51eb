import { findProgram, installCommand, runProgram } from '../../programs.js';
import { placeOfHelper } from '../../../monitor/helper.js';
import type { Finding } from '../finding.js';

export async function check(): Promise<Finding[]> {
  const found = await findCompiler();
  if (placeOfHelper() !== undefined) return [found];
  return [
    found,
    {
      status: 'warning',
      text: 'there is no folder to keep the C helper of the userfaultfd and malloc-hooks monitors in: this user cannot have them',
      mend: 'set XDG_CACHE_HOME to a folder that this user can write to',
      facts: { helper: null },
    },
  ];
}

async function findCompiler(): Promise<Finding> {
  const path = findProgram('cc');
  if (path === undefined) {
    return {
      status: 'ok',
      text: 'there is no C compiler; only building the module and the helper of other monitors needs one',
      mend: installCommand({ apt: ['gcc', 'libc6-dev'], dnf: ['gcc', 'glibc-devel'] }),
      facts: { path: null },
    };
  }
  const version = (await runProgram(path, ['--version'])).split('\n')[0];
  return { status: 'ok', text: version, facts: { path, version } };
}
