//! An image that is computed for each request: `/mandelbrot.bmp?width=320&height=240`.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::vec::Vec;
use handler_sdk::{Request, Response, Router, Status, export, get};

const ROUTES: Router = Router::new(&[get("/", index), get("/mandelbrot.bmp", image)]);

/// Maximum width and height of the image, in pixels. The work grows with the number of pixels, and
/// the host aborts a call that takes more than a second.
const SIDE_MAX: u32 = 800;
/// Number of iterations after which a point counts as part of the Mandelbrot set.
const STEPS_MAX: u8 = 100;

export!(answer);

pub fn answer(request: Request<'_>) -> Response<'_> {
    ROUTES.answer(request)
}

fn index(_: Request<'_>) -> Response<'static> {
    Response::html(
        Status::OK,
        "<!doctype html><title>Mandelbrot</title><img src=\"/mandelbrot.bmp?width=600&amp;height=400\" alt=\"\">",
    )
}

fn image(request: Request<'_>) -> Response<'static> {
    let (Some(width), Some(height)) = (side(request, "width", 320), side(request, "height", 240)) else {
        return Response::html(Status::BAD_REQUEST, "<h1>width and height are 1 to 800</h1>");
    };
    Response::new(Status::OK)
        .field("content-type", "image/bmp")
        .field("cache-control", "public, max-age=86400")
        .body(bitmap(width, height))
}

/// Parses a width or height from the query. Returns the default if the query does not have it, and
/// `None` if the value is not from 1 to [`SIDE_MAX`].
fn side(request: Request<'_>, name: &str, default: u32) -> Option<u32> {
    match request.query_value(name) {
        None => Some(default),
        Some(value) => value.parse().filter(|side| (1..=SIDE_MAX).contains(side)),
    }
}

/// Draws the image as a Windows bitmap with a palette: one byte for each pixel, rows from bottom to
/// top.
fn bitmap(width: u32, height: u32) -> Vec<u8> {
    const HEAD: u32 = 14 + 40 + 256 * 4;
    let row = width.next_multiple_of(4);
    let size = HEAD + row * height;

    let mut file = Vec::with_capacity(size as usize);
    file.extend(b"BM");
    file.extend([size, 0, HEAD].map(u32::to_le_bytes).as_flattened());
    file.extend([40, width, height].map(u32::to_le_bytes).as_flattened());
    // One plane, 8 bits a point. The zeros mean no compression, and defaults for the rest.
    file.extend([1u16, 8].map(u16::to_le_bytes).as_flattened());
    file.extend([0u8; 24]);
    for colour in 0..=u8::MAX {
        file.extend(palette(colour));
    }
    // Shows the whole set, which lies from -2 to 0.6 and from -1.2 to 1.2.
    let scale = f64::max(2.6 / f64::from(width), 2.4 / f64::from(height));
    for y in 0..height {
        for x in 0..row {
            let re = (f64::from(x) - f64::from(width) / 2.0) * scale - 0.7;
            let im = (f64::from(y) - f64::from(height) / 2.0) * scale;
            file.push(steps(re, im));
        }
    }
    file
}

/// Returns the palette entry for pixels with this number of iterations: blue, green, red and a
/// zero.
fn palette(steps: u8) -> [u8; 4] {
    if steps >= STEPS_MAX {
        return [0, 0, 0, 0];
    }
    let bright = |times: u8| steps.saturating_mul(times).saturating_add(20);
    [bright(9), bright(5), bright(2), 0]
}

/// Returns how many iterations a point stays inside the circle of radius 2, at most [`STEPS_MAX`].
fn steps(re: f64, im: f64) -> u8 {
    let (mut x, mut y) = (0.0, 0.0);
    (0..STEPS_MAX)
        .find(|_| {
            (x, y) = (x * x - y * y + re, 2.0 * x * y + im);
            x * x + y * y > 4.0
        })
        .unwrap_or(STEPS_MAX)
}

#[cfg(test)]
mod tests {
    use super::{STEPS_MAX, answer, bitmap, steps};
    use handler_sdk::respond;
    use std::format;

    #[test]
    fn a_bitmap_says_how_large_it_is() {
        for (width, height) in [(1, 1), (5, 3), (320, 240)] {
            let file = bitmap(width, height);
            let number = |at: usize| u32::from_le_bytes(*file[at..].first_chunk().unwrap());
            assert_eq!((number(2) as usize, number(18), number(22)), (file.len(), width, height));
            assert_eq!(file.len(), 1078 + (width.next_multiple_of(4) * height) as usize);
        }
    }

    #[test]
    fn the_middle_of_the_set_stays_and_its_surroundings_go() {
        assert_eq!(steps(0.0, 0.0), STEPS_MAX);
        assert_eq!(steps(-1.0, 0.0), STEPS_MAX);
        assert_eq!(steps(2.0, 2.0), 0);
        assert!((1..STEPS_MAX).contains(&steps(0.5, 0.5)));
    }

    #[test]
    fn a_size_that_cannot_be_had_is_refused() {
        for query in ["width=0", "width=801", "height=-1", "height=", "width=4294967297", "width=1&height=x"]
        {
            let request = format!("GET /mandelbrot.bmp?{query} HTTP/1.1\r\n\r\n");
            assert_eq!(respond(request.as_bytes(), answer).status().code(), 400, "{query}");
        }
    }
}
