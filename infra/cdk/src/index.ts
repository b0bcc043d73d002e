export { type CodeOptions, type Domain, WhatsAppConnector, type WhatsAppConnectorProps } from "./connector";
export type { ConnectorOutputs, ConnectorParameters } from "./generated";
