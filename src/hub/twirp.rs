// SPDX-License-Identifier: MIT OR Apache-2.0
//! LiveKit's `RoomService`: what holders of the API key ask beside sessions, over Twirp v7 in JSON or protobuf.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use livekit_protocol as proto;
use roomseal_policy::read_metadata;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::engine::Unfulfilled;
use crate::entry::since_1970;
use crate::hosts;
use crate::meeting::Building;
use crate::people;
use crate::room::{Denied, Told, Wish};
use crate::token::{Authority, LONGEST_NAME, Refusal};

/// Below this everything here lies.
pub(crate) const PATH: &str = "/twirp/livekit.RoomService/";

/// The longest request, in bytes: a message for participants in base64 is the longest that makes sense.
const LONGEST: usize = 256 * 1024;

/// How long a request may take to arrive.
const READING: Duration = Duration::from_secs(10);

/// Answers a request to a path below [`PATH`].
pub(crate) async fn answer(
    request: Request<Incoming>,
    building: &Arc<Building>,
) -> Response<Full<Bytes>> {
    let (body, kind) = match exchange(request, building).await {
        Ok((body, format)) => (body, format.name()),
        Err(failed) => return failed.into(),
    };
    respond(StatusCode::OK, kind, body)
}

async fn exchange(
    request: Request<Incoming>,
    building: &Arc<Building>,
) -> Result<(Vec<u8>, Format), Failed> {
    let method = request.uri().path().strip_prefix(PATH).unwrap_or_default();
    let method = method.to_owned();
    let format = Format::of(&request).filter(|_| request.method() == Method::POST);
    let format = format.ok_or_else(|| {
        Failed::new(
            Code::BadRoute,
            "send a POST of application/json or application/protobuf",
        )
    })?;
    let desk = Desk {
        authority: authorize(&request, building)?,
        building,
        format,
    };
    let body = Limited::new(request.into_body(), LONGEST).collect();
    let body = timeout(READING, body)
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| {
            Failed::new(
                Code::Malformed,
                format!("the request did not arrive whole, or is longer than {LONGEST} bytes"),
            )
        })?;
    Ok((desk.serve(&method, &body.to_bytes()).await?, format))
}

fn authorize(request: &Request<Incoming>, building: &Building) -> Result<Authority, Failed> {
    let token = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let authority = token
        .ok_or(Refusal::Malformed)
        .and_then(|token| building.keys.authorize(token, since_1970()));
    authority.map_err(|refusal| Failed::new(Code::Unauthenticated, refusal.to_string()))
}

/// Where one request is served.
struct Desk<'a> {
    authority: Authority,
    building: &'a Arc<Building>,
    format: Format,
}

impl Desk<'_> {
    async fn serve(&self, method: &str, body: &[u8]) -> Result<Vec<u8>, Failed> {
        match method {
            "CreateRoom" => {
                let request: proto::CreateRoomRequest = self.read(body)?;
                self.may_create()?;
                let room = self.create(request).await?;
                self.write(&room)
            }
            "ListRooms" => {
                let request: proto::ListRoomsRequest = self.read(body)?;
                if !self.authority.list {
                    return Err(Failed::missing("roomList"));
                }
                let rooms = self.building.engine.rooms(&request.names).await?;
                self.write(&proto::ListRoomsResponse { rooms })
            }
            "DeleteRoom" => {
                let request: proto::DeleteRoomRequest = self.read(body)?;
                self.may_create()?;
                self.ask(&request.room, Wish::End).await?;
                tracing::info!(room = request.room, "an administrator ends the meeting");
                self.write(&proto::DeleteRoomResponse {})
            }
            "ListParticipants" => {
                let request: proto::ListParticipantsRequest = self.read(body)?;
                let told = self.administer(&request.room, Wish::ShowAll).await?;
                let participants = participants(told);
                self.write(&proto::ListParticipantsResponse { participants })
            }
            "GetParticipant" => {
                let request: proto::RoomParticipantIdentity = self.read(body)?;
                let wish = Wish::ShowOne(request.identity);
                let told = self.administer(&request.room, wish).await?;
                self.write(&first(told)?)
            }
            "RemoveParticipant" => {
                let request: proto::RoomParticipantIdentity = self.read(body)?;
                let wish = Wish::Remove(request.identity.clone());
                self.administer(&request.room, wish).await?;
                let (room, identity) = (request.room, request.identity);
                tracing::info!(room, identity, "an administrator removes a participant");
                self.write(&proto::RemoveParticipantResponse {})
            }
            "MutePublishedTrack" => {
                let request: proto::MuteRoomTrackRequest = self.read(body)?;
                let wish = Wish::Mute {
                    identity: request.identity,
                    track: request.track_sid,
                    muted: request.muted,
                };
                let track = match self.administer(&request.room, wish).await? {
                    Told::Track(track) => Some(*track),
                    _ => None,
                };
                self.write(&proto::MuteRoomTrackResponse { track })
            }
            "UpdateParticipant" => {
                let request: proto::UpdateParticipantRequest = self.read(body)?;
                let (room, identity) = (request.room.clone(), request.identity.clone());
                let told = self
                    .administer(&room, Wish::Change(Box::new(request)))
                    .await?;
                tracing::info!(room, identity, "an administrator changes a participant");
                self.write(&first(told)?)
            }
            "UpdateRoomMetadata" => {
                let request: proto::UpdateRoomMetadataRequest = self.read(body)?;
                let (name, metadata) = (request.room, request.metadata);
                self.may_administer(&name)?;
                self.may_write(&name, &metadata).await?;
                let told = self.ask(&name, Wish::Metadata(metadata.clone())).await?;
                self.follow(&name, &metadata).await?;
                self.write(&room(told)?)
            }
            "SendData" => {
                let request: proto::SendDataRequest = self.read(body)?;
                let room = request.room.clone();
                self.administer(&room, Wish::Send(Box::new(request)))
                    .await?;
                self.write(&proto::SendDataResponse {})
            }
            _ => Err(Failed::new(Code::BadRoute, "there is no such call here")),
        }
    }

    fn may_create(&self) -> Result<(), Failed> {
        if self.authority.create {
            return Ok(());
        }
        Err(Failed::missing("roomCreate"))
    }

    async fn create(&self, request: proto::CreateRoomRequest) -> Result<proto::Room, Failed> {
        let name = request.name.clone();
        if name.is_empty() || name.len() > LONGEST_NAME {
            let text = format!("name: missing, or longer than {LONGEST_NAME} bytes");
            return Err(Failed::new(Code::InvalidArgument, text));
        }
        self.may_write(&name, &request.metadata).await?;
        let metadata = request.metadata.clone();
        let room = self.building.engine.set_up(request).await?;
        self.follow(&name, &metadata).await?;
        Ok(room)
    }

    /// Asks a room for what only its administrators may have.
    async fn administer(&self, name: &str, wish: Wish) -> Result<Told, Failed> {
        self.may_administer(name)?;
        self.ask(name, wish).await
    }

    /// Whether a room may have this metadata.
    async fn may_write(&self, room: &str, metadata: &str) -> Result<(), Failed> {
        let said = hosts::said_in(metadata, room);
        Ok(hosts::may_turn(self.building, room, said).await?)
    }

    /// Does what follows from metadata that was written.
    async fn follow(&self, room: &str, metadata: &str) -> Result<(), Failed> {
        let said = self.building.engine.e2ee(room);
        if let (Some(policy), Some(said)) = (read_metadata(metadata), said) {
            hosts::follow(self.building, room, &policy, said).await?;
        }
        Ok(())
    }

    fn may_administer(&self, name: &str) -> Result<(), Failed> {
        if self.authority.administers.as_deref() != Some(name) {
            return Err(Failed::missing("roomAdmin for this room"));
        }
        Ok(())
    }

    async fn ask(&self, name: &str, wish: Wish) -> Result<Told, Failed> {
        Ok(self.building.engine.ask(name, wish).await?)
    }

    fn read<T: prost::Message + Default + DeserializeOwned>(
        &self,
        body: &[u8],
    ) -> Result<T, Failed> {
        let read = match self.format {
            // Twirp takes an empty body for an empty message.
            Format::Json if body.is_empty() => Ok(T::default()),
            Format::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
            Format::Protobuf => T::decode(body).map_err(|error| error.to_string()),
        };
        read.map_err(|reason| Failed::new(Code::Malformed, reason))
    }

    fn write<T: prost::Message + Serialize>(&self, message: &T) -> Result<Vec<u8>, Failed> {
        match self.format {
            Format::Json => serde_json::to_vec(message)
                .map_err(|error| Failed::new(Code::Internal, error.to_string())),
            Format::Protobuf => Ok(message.encode_to_vec()),
        }
    }
}

fn participants(told: Told) -> Vec<proto::ParticipantInfo> {
    match told {
        Told::Participants(participants) => participants,
        _ => Vec::new(),
    }
}

fn first(told: Told) -> Result<proto::ParticipantInfo, Failed> {
    let mut participants = participants(told).into_iter();
    participants
        .next()
        .ok_or_else(|| Denied::NoParticipant.into())
}

fn room(told: Told) -> Result<proto::Room, Failed> {
    match told {
        Told::Room(room) => Ok(*room),
        _ => Err(Failed::new(
            Code::Internal,
            "the room did not say how it is",
        )),
    }
}

/// How messages are written.
#[derive(Clone, Copy)]
enum Format {
    Json,
    Protobuf,
}

impl Format {
    fn of(request: &Request<Incoming>) -> Option<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
        match kind.split(';').next()?.trim() {
            "application/json" => Some(Self::Json),
            "application/protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/protobuf",
        }
    }
}

/// Twirp's names for what went wrong; each has its HTTP status.
#[derive(Clone, Copy)]
enum Code {
    BadRoute,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    Malformed,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
}

impl Code {
    fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRoute => ("bad_route", StatusCode::NOT_FOUND),
            Self::FailedPrecondition => ("failed_precondition", StatusCode::PRECONDITION_FAILED),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::PermissionDenied => ("permission_denied", StatusCode::FORBIDDEN),
            Self::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
            Self::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

/// Why a request is not answered with what it asks for.
struct Failed {
    code: Code,
    message: String,
}

impl Failed {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn missing(grant: &str) -> Self {
        Self::new(
            Code::PermissionDenied,
            format!("permission denied: the token does not grant {grant}"),
        )
    }
}

impl From<Denied> for Failed {
    fn from(denied: Denied) -> Self {
        let code = match denied {
            Denied::NoParticipant | Denied::NoTrack => Code::NotFound,
            Denied::RemoteUnmute => Code::FailedPrecondition,
            Denied::TooLong(_) => Code::InvalidArgument,
        };
        Self::new(code, denied.to_string())
    }
}

impl From<Unfulfilled> for Failed {
    fn from(unfulfilled: Unfulfilled) -> Self {
        let code = match unfulfilled {
            Unfulfilled::Denied(denied) => return denied.into(),
            Unfulfilled::NoRoom => Code::NotFound,
            Unfulfilled::Full => Code::ResourceExhausted,
            Unfulfilled::Closes | Unfulfilled::Engine(_) => Code::Unavailable,
        };
        Self::new(code, unfulfilled.to_string())
    }
}

impl From<people::Refusal> for Failed {
    fn from(refusal: people::Refusal) -> Self {
        let code = match refusal {
            people::Refusal::NotAllowed(_) => Code::PermissionDenied,
            _ => Code::Unavailable,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<Failed> for Response<Full<Bytes>> {
    fn from(failed: Failed) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            code: &'a str,
            msg: &'a str,
        }
        let (code, status) = failed.code.parts();
        let body = Body {
            code,
            msg: &failed.message,
        };
        let body = serde_json::to_vec(&body).expect("two strings always serialize");
        // Also for requests in protobuf: Twirp's errors are JSON.
        respond(status, "application/json", body)
    }
}

fn respond(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
