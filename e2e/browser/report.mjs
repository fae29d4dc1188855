export const reportChecks = [];
