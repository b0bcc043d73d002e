//! Agents' WebSocket connections.

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::primitives::Blob;

use crate::aws::{Aws, CallError};
use crate::config::{ConfigError, Env};

/// The result of a message to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    /// API Gateway has the message.
    Sent,
    /// The connection is closed. It won't return under this id.
    Gone,
}

/// The connections of the WebSocket API.
#[derive(Debug, Clone)]
pub struct Sockets {
    client: Client,
}

impl Sockets {
    /// Reads `WEBSOCKET_ENDPOINT`.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, ConfigError> {
        Ok(Self { client: aws.apigatewaymanagement(&env.base_url("WEBSOCKET_ENDPOINT")?) })
    }

    /// Sends up to 128 KB to a connection.
    pub async fn post(&self, connection_id: &str, bytes: Vec<u8>) -> Result<Posted, CallError> {
        match self.client.post_to_connection().connection_id(connection_id).data(Blob::new(bytes)).send().await {
            Ok(_) => Ok(Posted::Sent),
            Err(error) if error.as_service_error().is_some_and(|refusal| refusal.is_gone_exception()) => Ok(Posted::Gone),
            Err(error) => Err(CallError::of("apigateway", &error)),
        }
    }

    /// Closes a connection. A connection that is closed already is a success.
    pub async fn close(&self, connection_id: &str) -> Result<(), CallError> {
        match self.client.delete_connection().connection_id(connection_id).send().await {
            Err(error) if !error.as_service_error().is_some_and(|refusal| refusal.is_gone_exception()) => {
                Err(CallError::of("apigateway", &error))
            }
            _ => Ok(()),
        }
    }
}
