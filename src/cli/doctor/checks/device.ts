import { readVariable, VARIABLES } from '../../../environment.js';
import { RegcacheError } from '../../../errors.js';
import { DEVICE_PATH, Feature } from '../../../monitor/ummunotify-abi.js';
import { UmmunotifyMonitor } from '../../../monitor/ummunotify.js';
import { modeOf } from '../../mode.js';
import { asRoot } from '../../package.js';
import type { Finding } from '../finding.js';

const ALL = Object.values(Feature).reduce((bits, bit) => bits | bit, 0);

/** The device as this user finds it, and what the driver behind it offers. */
export function check(): Finding[] {
  const named = readVariable('device');
  const path = named ?? DEVICE_PATH;
  // Throws what a cache would meet, with what to do about it.
  const monitor = open(path, named === undefined ? undefined : `${VARIABLES.device.name}=${named}`);
  monitor.close();
  return [describeDevice(path), describeFeatures(monitor.features)];
}

/** @param because what names another device than the usual one, which is then the first suspect */
function open(path: string, because: string | undefined): UmmunotifyMonitor {
  try {
    return new UmmunotifyMonitor({ path, features: ALL });
  } catch (error) {
    if (because === undefined || !(error instanceof RegcacheError)) throw error;
    throw error.within(because);
  }
}

function describeDevice(path: string): Finding {
  const mode = modeOf(path)!;
  const facts = { path, mode };
  const text = `${path} ${mode}, this user can open it`;
  if (mode.endsWith('r--') || mode.endsWith('rw-')) return { status: 'ok', text, facts };
  return { status: 'warning', text: `${text}, others cannot`, mend: `sudo chmod 0666 ${path}`, facts };
}

function describeFeatures(granted: number): Finding {
  const names = (wanted: boolean): string[] =>
    Object.entries(Feature)
      .filter(([, bit]) => ((granted & bit) !== 0) === wanted)
      .map(([name]) => name.toLowerCase());
  const facts = { offered: names(true), missing: names(false) };
  const text = `the driver offers ${facts.offered.join(', ') || 'no extensions'}`;
  if (facts.missing.length === 0) return { id: 'features', status: 'ok', text, facts };
  return {
    id: 'features',
    status: 'warning',
    text: `${text}, but not ${facts.missing.join(', ')}: an older one, right and slower`,
    mend: asRoot('module', 'install'),
    facts,
  };
}
