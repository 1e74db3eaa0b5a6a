//! Generates the client and the server of the service.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let method = |name: &str, route: &str, message: &str| {
        Method::builder()
            .name(name)
            .route_name(route)
            .input_type(message)
            .output_type(message)
            .codec_path("tonic_prost::ProstCodec")
            .build()
    };
    let service = Service::builder()
        .name("Bench")
        .package("bench")
        .method(method("null", "Null", "crate::Number"))
        .method(method("echo", "Echo", "crate::Payload"))
        .build();
    Builder::new().compile(&[service]);
}
