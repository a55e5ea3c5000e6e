/** The only door to the core: campaigns, lists, messages, runs. Nothing in here knows VS Code. */
export type { Account, AccountProblem } from "./account";
export { accountSchema, parseAccount, sandboxId, senderOf } from "./account";
export type { Mailbox } from "./address";
export { parseMailbox } from "./address";
export type { Campaign } from "./campaign";
export { CampaignIds, readCampaign } from "./campaignIds";
export type { Failure, OutcomeClass } from "./classify";
export { ownFailures } from "./classify";
export type { Tried } from "./delivery";
export { diagnose, readCertificates, sendTest } from "./delivery";
export type { Diagnosis, DoctorFix, DoctorStep, DoctorStepName } from "./diagnosis";
export { doctorStepNames, doctorSteps, formatDiagnosis } from "./diagnosis";
export type { DoctorOptions } from "./doctor";
export type { Endpoint } from "./endpoint";
export { accountHash, endpointChanges, endpointHash, endpointOf, readAuthorities } from "./endpoint";
export type { Files } from "./files";
export { diskFiles, FileError, isBelow } from "./files";
export type { Forecast, ForecastRequest } from "./forecast";
export { forecast, forecastFor, forecastText } from "./forecast";
export { GrantTokens } from "./grantTokens";
export { ownerOfRuns } from "./holders";
export type { HttpsWay } from "./https";
export type { ResolvedProxy } from "./httpProxy";
export { resolveProxy } from "./httpProxy";
export type { Message } from "./message";
export type { AuthorizationRequest, Grant, Granted, Landing, OAuthClient } from "./oauth";
export {
  authorizationRequest,
  parseOAuthClient,
  readLanding,
  redeemCode,
  refreshToken,
  revokeGrant,
} from "./oauth";
export type { OAuthProvider } from "./oauthProviders";
export { oauthProviderOf, oauthProviders } from "./oauthProviders";
export type { Limits, Pace, PaceReader, PaceSettings, SendingWindow, Weekday } from "./pace";
export { defaultLimits, paceFrom, slower, unlimited } from "./pace";
export type { Plan, RunState, Target, Totals, World } from "./plan";
export { createPlan, lastRun, PlanError, RunningError, runUnderAnotherId, worldOf } from "./plan";
export type { AccessTokens, Clock, Credentials, Logger, Ports, TokenReply } from "./ports";
export { signedOut, silentLogger, systemClock } from "./ports";
export type { CheckResult, Counts, Entry, Prepared, PrepareRequest, SenderDefaults } from "./preflight";
export { checkRows, prepareCampaign, RowError } from "./preflight";
export type { Fix, Position, Problem, ProblemCode, Range, Severity } from "./problems";
export { plainText, quote, sentence } from "./problems";
export type { OAuthProviderId, Provider } from "./providers";
export { providerById, providers, suggestProvider } from "./providers";
export type { Usage } from "./quota";
export { mailboxDirectory, mailboxOf, noUsage, readUsage } from "./quota";
export type { Column, CsvOptions, RecipientList, Row } from "./recipients";
export { detectAddressColumn, openRecipients } from "./recipients";
export type { OpenReport, Report, ReportRow } from "./report";
export { openReport, writeReportCsv } from "./report";
export { formatReport, formatTable } from "./reportFormats";
export { exportRows } from "./exportRows";
export { parseWindow, windowProblem, windowWaitMs } from "./sendingWindow";
export { ownerIn } from "./lock";
export { sendingText } from "./sendingText";
export type { AttemptEvent, Ending, PaceSource, Progress, RunHooks, RunOptions, RunSummary } from "./sender";
export { runCampaign } from "./sender";
export { defaultStateDirectory, sandboxDirectory } from "./stateDirectory";
export { movedText } from "./handOver";
export type { Imported, Place } from "./historyArchive";
export { archivedCampaign, exportHistory, importHistory } from "./historyArchive";
export { JournalError } from "./journal";
export { overlappingRun } from "./overlap";
export type { Receipt } from "./receipt";
export { receiptText, receiptWithoutJournal } from "./receipt";
export { nameTarget } from "./report";
export type { Resolution, UnknownRecipient } from "./resolution";
export { identitiesOf, invalidText, resolveRecipients, unknownRecipients } from "./resolution";
export type { PastRun } from "./retention";
export { applyRetention, defaultRetentionDays, deleteHistory, deletionWarning, expiredHistory } from "./retention";
export { makePrivateDirectory } from "./stateDirectory";
export type { TakenApart } from "./takeApart";
export { takeApart } from "./takeApart";
export type { Waiting } from "./waiting";
export { momentText, waitingText } from "./waiting";
export type { StartTime } from "./startTime";
export { parseStart } from "./startTime";
