import { type ModuleState, moduleState } from '../../module/state.js';
import { asRoot } from '../../package.js';
import type { Finding } from '../finding.js';

export async function check(): Promise<Finding> {
  const state = await moduleState();
  return { ...judge(state), facts: { ...state } };
}

/** What to say of the module. */
export function judge({ loaded, installed, sources, kernel }: ModuleState): Finding {
  const install = asRoot('module', 'install');
  if (loaded === null) {
    if (installed !== null)
      return { status: 'problem', text: `installed and not loaded`, mend: 'sudo modprobe ummunotify' };
    return { status: 'problem', text: `not loaded, and not installed for Linux ${kernel}`, mend: install };
  }
  const text = `ummunotify ${loaded.version ?? 'of unknown version'} is loaded`;
  if (loaded.version !== sources.version)
    return { status: 'warning', text: `${text}; this package brings ${sources.version}`, mend: install };
  if (installed === null)
    return { status: 'warning', text: `${text}, and not installed: gone with the next boot`, mend: install };
  if (installed.srcversion !== undefined && installed.srcversion !== loaded.srcversion)
    return {
      status: 'warning',
      text: `${text}, and another build of it installed`,
      mend: 'sudo modprobe -r ummunotify && sudo modprobe ummunotify',
    };
  return { status: 'ok', text };
}
