import { soakTest } from '../monitor/soak-test.js';

soakTest('userfaultfd', 10);
