//! A stage over a server that speaks S3.

use std::sync::Arc;

use object_store::aws::AmazonS3Builder;

use super::broker::or_skip;
use super::s3_server::Server;
use super::stage::{PREFIX, Stage};

/// A stage in a bucket of the test's own, with the server it needs.
pub fn stage(test: &str) -> Option<(Stage, Arc<Server>)> {
    let server = or_skip(format!("in_s3::{test}"), Server::shared())?;
    // As `checkpoint::connect` does; an error if a test before has.
    drop(rustls::crypto::ring::default_provider().install_default());
    let bucket = test.replace('_', "-");
    server.bucket(&bucket);
    let objects = AmazonS3Builder::new()
        .with_endpoint(format!("http://{}", server.address))
        .with_allow_http(true)
        .with_bucket_name(&bucket)
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .unwrap();
    Some((Stage::new(Arc::new(objects), PREFIX), server))
}
